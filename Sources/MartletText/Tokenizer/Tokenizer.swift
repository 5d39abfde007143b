import MartletCore

/// Text to tokens and back: byte-level BPE as Hugging Face's `tokenizers` does it (MODEL.md 4.1). Immutable; copies
/// share one definition.
package struct Tokenizer: Sendable {
    let definition: TokenizerDefinition

    init(definition: TokenizerDefinition) { self.definition = definition }

    /// Reads a `tokenizer.json`, named `file` in errors. `configuration`: `tokenizer_config.json`, for added tokens
    /// that only that file has and for the names of special tokens. Throws for what we do not build, by field.
    package init(
        tokenizerJSON: some Collection<UInt8>, file: String, configuration: JSONValue?
    ) throws(TokenizerError) {
        definition = try TokenizerFile(file: file).read(tokenizerJSON, configuration: configuration)
    }

    /// Takes the vocabulary of a GGUF file.
    package init(vocabulary: GGUFVocabulary) throws(TokenizerError) {
        definition = try GGUFVocabularyReader(vocabulary: vocabulary).read()
    }

    // MARK: - Tokens

    /// Highest id + 1.
    package var vocabularyCount: Int { definition.count }

    /// Every token that is found by its text before merging, in the order of the file.
    package var addedTokens: [AddedToken] { definition.addedTokens }

    package var bosToken: TokenID? { definition.names.bos }
    package var eosToken: TokenID? { definition.names.eos }
    package var endOfTurnToken: TokenID? { definition.names.endOfTurn }
    package var paddingToken: TokenID? { definition.names.padding }

    /// The bytes that `id` stands for; empty for ids that stand for nothing.
    package func bytes(of id: TokenID) -> [UInt8] {
        definition.added(id).map { Array($0.content.utf8) } ?? Array(definition.vocabulary.bytes(of: id))
    }

    /// The token as the vocabulary writes it: an added token's content, else the byte-level spelling ("Ġthe").
    /// nil for ids that are not in use.
    package func token(_ id: TokenID) -> String? {
        if let added = definition.added(id) { return added.content }
        let spelling = definition.vocabulary.spelling(of: id)
        return spelling.isEmpty ? nil : spelling
    }

    /// The token with exactly this text, an added one before one of the vocabulary.
    package func id(of text: String) -> TokenID? {
        definition.added(content: text) ?? definition.vocabulary.token(spelled: text)
    }

    /// A control token, which `decode` skips if asked to.
    package func isSpecial(_ id: TokenID) -> Bool { definition.added(id)?.isSpecial ?? false }

    // MARK: - Text to tokens

    /// The tokens of `text`. `addSpecialTokens`: with what the file's post-processor puts around it. Rendered chats
    /// already hold theirs: pass false.
    package func encode(_ text: String, addSpecialTokens: Bool) -> [TokenID] {
        encodeCountingOperations(text, addSpecialTokens: addSpecialTokens).tokens
    }

    /// The tokens of `bytes` read as UTF-8, each maximal part of a broken sequence as one U+FFFD (Python's "replace").
    package func encode(utf8 bytes: some Collection<UInt8>, addSpecialTokens: Bool) -> [TokenID] {
        encode(Self.text(bytes), addSpecialTokens: addSpecialTokens)
    }

    /// Also says how much work it was, in steps that each take bounded time: linear up to a logarithm in the text.
    package func encodeCountingOperations(
        _ text: String, addSpecialTokens: Bool
    ) -> (tokens: [TokenID], operations: Int) {
        var text = text
        return text.withUTF8 { text in
            var encoder = TextEncoder(definition)
            if addSpecialTokens { encoder.append(definition.prefix) }
            encoder.append(text)
            if addSpecialTokens { encoder.append(definition.suffix) }
            return (encoder.tokens, encoder.operations)
        }
    }

    // MARK: - Tokens to text

    /// The text of `ids`: their bytes joined, then read as UTF-8 with U+FFFD for what is not.
    package func decode(_ ids: [TokenID], skipSpecialTokens: Bool) -> String {
        var joined: [UInt8] = []
        for id in ids where !(skipSpecialTokens && isSpecial(id)) { joined.append(contentsOf: bytes(of: id)) }
        return Self.text(joined)
    }

    private static func text(_ bytes: some Collection<UInt8>) -> String {
        let text = bytes.withContiguousStorageIfAvailable { UTF8Repair.repaired($0, isFinal: true).text }
            ?? Array(bytes).withUnsafeBufferPointer { UTF8Repair.repaired($0, isFinal: true).text }
        return String(decoding: text, as: UTF8.self)
    }
}
