import MartletCore
import MartletText
import MartletVision

/// What the server knows of the model behind the engine. No weights, no tensors.
package struct ServedModel: Sendable {
    /// Every name a request may use; the first is the one answers and metrics carry.
    package var names: [String]
    /// What the files are: the path or hub id that was loaded. `root` of `/v1/models`.
    package var root: String
    /// E.g. `Glm4vForConditionalGeneration`.
    package var architecture: String
    /// Prompt and output together, in tokens.
    package var maxModelLength: Int
    /// Rows of the logits: every token id of a request must be below.
    package var vocabularySize: Int
    package var tokenizer: Tokenizer
    /// nil = the model has no chat template: chat is refused, completions work.
    package var chat: ChatRenderer?
    /// nil = text only.
    package var images: ImageProcessor?
    /// The placeholder that stands once an image in a rendered prompt; nil = text only.
    package var imageToken: TokenID?
    package var defaults: GenerationDefaults
    /// The model's end-of-generation tokens (MODEL.md 4.3).
    package var endTokens: [TokenID]
    /// Where thoughts go when a request does not say.
    package var reasoning: ReasoningMode
    /// Seconds since 1970; `created` of `/v1/models`.
    package var created: Int

    package init(
        names: [String], root: String, architecture: String, maxModelLength: Int, vocabularySize: Int,
        tokenizer: Tokenizer, chat: ChatRenderer?, images: ImageProcessor? = nil, imageToken: TokenID? = nil,
        defaults: GenerationDefaults = GenerationDefaults(), endTokens: [TokenID] = [],
        reasoning: ReasoningMode = .inContent, created: Int
    ) {
        precondition(!names.isEmpty, "a model is served under at least one name")
        self.names = names
        self.root = root
        self.architecture = architecture
        self.maxModelLength = maxModelLength
        self.vocabularySize = vocabularySize
        self.tokenizer = tokenizer
        self.chat = chat
        self.images = images
        self.imageToken = imageToken
        self.defaults = defaults
        self.endTokens = endTokens
        self.reasoning = reasoning
        self.created = created
    }

    /// The name that answers carry.
    package var name: String { names[0] }

    /// Throws unless `asked` is a name of this model; nil asks for whatever is served.
    func check(_ asked: String?) throws(APIError) {
        guard let asked, !names.contains(asked) else { return }
        throw .modelNotFound(asked, served: names)
    }
}
