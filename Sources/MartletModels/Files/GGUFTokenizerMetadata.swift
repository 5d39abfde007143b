import MartletCore
import MartletTensor

/// The tokenizer inside a GGUF file (MODEL.md 8.2), as it stands there; whoever makes a tokenizer of it judges it.
package struct GGUFTokenizerMetadata: Sendable, Equatable {
    package let file: String
    /// "gpt2" for byte-level BPE.
    package let model: String
    /// Name of the pre-tokenizer, for example "glm4" or "smollm"; "default" if the file names none.
    package let pre: String
    package let tokens: [String]
    /// 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte; empty or one a token.
    package let tokenTypes: [Int32]
    /// "a b", in order of rank.
    package let merges: [String]
    package let bosToken: TokenID?
    package let eosToken: TokenID?
    /// End of a turn.
    package let eotToken: TokenID?
    package let unknown: TokenID?
    package let padding: TokenID?
    /// Whether raw text starts with `bosToken`.
    package let addsBOS: Bool

    /// Throws if there are no tokens, if the types are not one a token, or if an id is not one of the tokens.
    package init(_ gguf: GGUFFile) throws(ModelError) {
        func fault(_ key: String, _ reason: String) -> ModelError {
            ModelError(file: gguf.path, field: "tokenizer.ggml.\(key)", reason: reason)
        }
        func value(_ key: String) -> GGUFValue? { gguf.metadata["tokenizer.ggml.\(key)"] }
        guard let model = value("model")?.string else { throw fault("model", "is missing or not a string") }
        guard let tokens = value("tokens")?.strings, !tokens.isEmpty else {
            throw fault("tokens", "is missing, empty or not a list of strings")
        }
        let types = try value("token_type").map { value throws(ModelError) in
            guard let types = value.integers, types.count == tokens.count else {
                throw fault("token_type", "is not one integer for each of the \(tokens.count) tokens")
            }
            return types.map { Int32(clamping: $0) }
        }
        let merges = try value("merges").map { value throws(ModelError) in
            guard let merges = value.strings else { throw fault("merges", "is not a list of strings") }
            return merges
        }
        func token(_ key: String) throws(ModelError) -> TokenID? {
            guard let stated = value(key) else { return nil }
            guard let id = stated.integer, tokens.indices.contains(id) else {
                throw fault(key, "is not the id of one of the \(tokens.count) tokens")
            }
            return TokenID(id)
        }
        file = gguf.path
        self.model = model
        pre = value("pre")?.string ?? "default"
        self.tokens = tokens
        tokenTypes = types ?? []
        self.merges = merges ?? []
        bosToken = try token("bos_token_id")
        eosToken = try token("eos_token_id")
        eotToken = try token("eot_token_id")
        unknown = try token("unknown_token_id")
        padding = try token("padding_token_id")
        addsBOS = value("add_bos_token")?.bool ?? false
    }
}
