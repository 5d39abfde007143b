import MartletCore

/// A GGUF file's `tokenizer.ggml.*` values, as they stand there (MODEL.md 8.2).
package struct GGUFVocabulary: Sendable {
    /// `tokenizer.ggml.model`; "gpt2" is byte-level BPE, the only one we take.
    package var model: String
    /// `tokenizer.ggml.pre`, e.g. "glm4"; names the pre-tokenizer.
    package var pre: String
    /// By id, in the byte-level spelling.
    package var tokens: [String]
    /// By id: 1 normal, 3 control, 4 user-defined, 5 unused, 6 byte. Empty = all normal.
    package var tokenTypes: [Int32]
    /// "left right", most important first.
    package var merges: [String]
    package var bosToken: TokenID?
    package var eosToken: TokenID?
    /// End of a turn.
    package var eotToken: TokenID?
    package var unknown: TokenID?
    package var padding: TokenID?
    /// `encode(addSpecialTokens: true)` starts with `bosToken`.
    package var addsBOS: Bool

    package init(
        model: String, pre: String, tokens: [String], tokenTypes: [Int32], merges: [String], bosToken: TokenID? = nil,
        eosToken: TokenID? = nil, eotToken: TokenID? = nil, unknown: TokenID? = nil, padding: TokenID? = nil,
        addsBOS: Bool = false
    ) {
        self.model = model
        self.pre = pre
        self.tokens = tokens
        self.tokenTypes = tokenTypes
        self.merges = merges
        self.bosToken = bosToken
        self.eosToken = eosToken
        self.eotToken = eotToken
        self.unknown = unknown
        self.padding = padding
        self.addsBOS = addsBOS
    }
}
