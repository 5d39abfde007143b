import MartletCore

/// Makes a tokenizer of a GGUF file's values. Errors name the file's own keys.
struct GGUFVocabularyReader {
    let vocabulary: GGUFVocabulary
    private let faults = TokenizerFaults(
        file: "GGUF", vocabularyField: "tokenizer.ggml.tokens", mergesField: "tokenizer.ggml.merges")

    /// Values of `tokenizer.ggml.token_type`.
    private enum Kind {
        static let control: Int32 = 3
        static let userDefined: Int32 = 4
        static let unused: Int32 = 5
    }

    init(vocabulary: GGUFVocabulary) { self.vocabulary = vocabulary }

    func read() throws(TokenizerError) -> TokenizerDefinition {
        guard vocabulary.model == "gpt2" else {
            throw fault("model", "\(TokenizerFile.quoted(vocabulary.model)) is not supported, only gpt2")
        }
        guard let preTokenizer = PreTokenizer(ggufName: vocabulary.pre) else {
            throw fault("pre", "\(TokenizerFile.quoted(vocabulary.pre)) is not supported")
        }
        guard !vocabulary.tokens.isEmpty, vocabulary.tokens.count <= Vocabulary.maxTokenCount else {
            throw fault("tokens", "not 1 to \(Vocabulary.maxTokenCount) tokens")
        }
        guard vocabulary.tokenTypes.isEmpty || vocabulary.tokenTypes.count == vocabulary.tokens.count else {
            throw fault("token_type", "\(vocabulary.tokenTypes.count) types for \(vocabulary.tokens.count) tokens")
        }
        let added = try addedTokens()
        let known = try Vocabulary(spellings: spellings(), faults: faults)
        var builder = try MergeTableBuilder(count: vocabulary.merges.count, vocabulary: known, faults: faults)
        for merge in vocabulary.merges { try builder.append(merge) }
        let names = SpecialTokenNames(
            bos: try check(vocabulary.bosToken, "bos_token_id"), eos: try check(vocabulary.eosToken, "eos_token_id"),
            endOfTurn: try check(vocabulary.eotToken, "eot_token_id"),
            padding: try check(vocabulary.padding, "padding_token_id"))
        // Not for bytes that are no token, which are dropped: it is a control token, and text must not make one.
        _ = try check(vocabulary.unknown, "unknown_token_id")
        if vocabulary.addsBOS && names.bos == nil { throw fault("add_bos_token", "there is no bos_token_id") }
        return TokenizerDefinition(
            vocabulary: known, merges: builder.table, preTokenizer: preTokenizer,
            ignoresMerges: Self.ignoresMerges(vocabulary.pre), unknown: nil,
            prefix: vocabulary.addsBOS ? [names.bos].compactMap { $0 } : [], suffix: [], addedTokens: added,
            names: names)
    }

    /// GGUF has no key for it; these names imply it.
    private static func ignoresMerges(_ pre: String) -> Bool {
        ["glm4", "llama-bpe", "llama3", "llama-v3"].contains(pre)
    }

    private func fault(_ key: String, _ reason: String) -> TokenizerError {
        faults.fault("tokenizer.ggml.\(key)", reason)
    }

    private func check(_ id: TokenID?, _ key: String) throws(TokenizerError) -> TokenID? {
        guard let id else { return nil }
        guard id >= 0, Int(id) < vocabulary.tokens.count else { throw fault(key, "\(id) is no token") }
        return id
    }

    private func kind(_ index: Int) -> Int32 { vocabulary.tokenTypes.isEmpty ? 1 : vocabulary.tokenTypes[index] }

    /// Unused ids, which pad the vocabulary, stand for nothing.
    private func spellings() -> [String?] {
        vocabulary.tokens.enumerated().map { kind($0) == Kind.unused ? nil : $1 }
    }

    private func addedTokens() throws(TokenizerError) -> [AddedToken] {
        var reader = AddedTokenReader(faults: faults)
        for (index, content) in vocabulary.tokens.enumerated() {
            guard kind(index) == Kind.control || kind(index) == Kind.userDefined else { continue }
            let token = AddedToken(
                content: content, id: TokenID(truncatingIfNeeded: index), isSpecial: kind(index) == Kind.control)
            guard try reader.append(token, field: "tokenizer.ggml.tokens[\(index)]") else {
                throw fault("tokens", "\(TokenizerFile.quoted(content)) is there twice")
            }
        }
        return reader.tokens
    }
}
