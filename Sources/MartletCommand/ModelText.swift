import Foundation
import MartletCore
import MartletModels
import MartletText
import MartletVision

/// The text side of a model's files.
struct ModelText {
    let tokenizer: Tokenizer
    /// nil = neither the files nor the family have a chat template.
    let renderer: ChatRenderer?
    /// The files' ids, and those that only the vocabulary tells (MODEL.md 4.3): `</answer>`, `<|observation|>`.
    let endTokens: [TokenID]

    init(_ files: ModelFiles, options: ModelOptions, environment: [String: String]) throws {
        let tokenizer = try Self.tokenizer(
            options.tokenizer.map(Self.tokenizerFile) ?? files.tokenizer, location: files.location)
        self.tokenizer = tokenizer
        endTokens = Self.endTokens(files.configuration, tokenizer)
        renderer = try Self.template(files, override: options.chatTemplate).map { template in
            ChatRenderer(
                template: template, beginToken: tokenizer.bosToken.flatMap(tokenizer.token),
                endToken: tokenizer.eosToken.flatMap(tokenizer.token), answerTags: tokenizer.id(of: "</answer>") != nil,
                guarding: tokenizer.guarding)
        }
    }

    /// `--tokenizer`: a directory with tokenizer.json, or the file itself.
    private static func tokenizerFile(_ path: String) throws -> ModelFiles.Tokenizer {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw AssemblyError.noTokenizer(file: path)
        }
        let file = isDirectory.boolValue ? path + "/tokenizer.json" : path
        guard let data = FileManager.default.contents(atPath: file) else { throw AssemblyError.noTokenizer(file: path) }
        return .json(bytes: Array(data), file: file, configuration: nil)
    }

    private static func tokenizer(_ source: ModelFiles.Tokenizer, location: String) throws -> Tokenizer {
        switch source {
        case .json(let bytes, let file, let configuration):
            try Tokenizer(tokenizerJSON: bytes, file: file, configuration: configuration)
        case .gguf(let metadata): try Tokenizer(vocabulary: GGUFVocabulary(metadata))
        case .none: throw AssemblyError.noTokenizer(file: location)
        }
    }

    /// The flag's, the model's, or the family's.
    private static func template(
        _ files: ModelFiles, override: (source: String, file: String)?
    ) throws -> ChatTemplate? {
        if let override { return try ChatTemplate(source: override.source, file: override.file) }
        if let own = files.chatTemplate { return try ChatTemplate(source: own, file: files.location) }
        return switch files.configuration.architecture {
        case .glm4v, .glm4: try ChatTemplate(source: BuiltInTemplate.glm4v, file: "built-in GLM template")
        case .llama: try ChatTemplate(source: BuiltInTemplate.chatML, file: "built-in ChatML template")
        }
    }

    /// GGUF metadata names only two of GLM's four end tokens; the others are looked up by their text.
    private static func endTokens(_ configuration: ModelConfiguration, _ tokenizer: Tokenizer) -> [TokenID] {
        var tokens = configuration.endTokens
        if configuration.architecture != .llama {
            for text in ["<|endoftext|>", "<|user|>", "<|observation|>", "</answer>"] {
                if let id = tokenizer.id(of: text) { tokens.append(id) }
            }
        }
        var seen: Set<TokenID> = []
        return tokens.filter { seen.insert($0).inserted }
    }

    /// nil for text-only models. `arguments` are the keys of --mm-processor-kwargs.
    static func imageProcessor(_ files: ModelFiles, arguments: [String: Int]) throws -> ImageProcessor? {
        guard files.configuration.vision != nil else { return nil }
        let configuration = try ImageProcessorConfiguration(json: files.processorConfig, file: files.location)
            .overriding(minPixels: arguments["min_pixels"], maxPixels: arguments["max_pixels"])
        return ImageProcessor(configuration: configuration)
    }
}

extension GGUFVocabulary {
    /// The file reader's plain values as the tokenizer takes them.
    init(_ metadata: GGUFTokenizerMetadata) {
        self.init(
            model: metadata.model, pre: metadata.pre, tokens: metadata.tokens, tokenTypes: metadata.tokenTypes,
            merges: metadata.merges, bosToken: metadata.bosToken, eosToken: metadata.eosToken,
            eotToken: metadata.eotToken, unknown: metadata.unknown, padding: metadata.padding,
            addsBOS: metadata.addsBOS)
    }
}
