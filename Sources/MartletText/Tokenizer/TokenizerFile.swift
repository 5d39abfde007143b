import MartletCore

/// Reads a `tokenizer.json`. What it does not know it refuses, by field.
struct TokenizerFile {
    let faults: TokenizerFaults

    /// Longer files are refused unread, in bytes.
    static let maxByteCount = 128 << 20
    static let maxAddedTokenCount = 1 << 16
    /// Bytes of one added token, and of all of them.
    static let maxContentByteCount = 512
    static let maxAddedByteCount = 4 << 20

    init(file: String) { faults = TokenizerFaults(file: file) }

    func read(
        _ bytes: some Collection<UInt8>, configuration: JSONValue?
    ) throws(TokenizerError) -> TokenizerDefinition {
        guard bytes.count <= Self.maxByteCount else { throw faults.fault("", "longer than 128 MiB") }
        let root: JSONValue
        do { root = try JSONParser.parse(bytes) } catch { throw faults.fault("", error.description) }
        guard root.object != nil else { throw faults.fault("", "not an object") }
        if let normalizer = root["normalizer"], !normalizer.isNull {
            throw faults.fault("normalizer", "\(Self.name(of: normalizer)) is not supported")
        }
        try checkDecoder(root["decoder"])
        let preTokenizer = try PreTokenizerReader(faults: faults).read(root["pre_tokenizer"])
        guard let model = root["model"], model.object != nil else { throw faults.fault("model", "missing") }
        try checkModel(model)

        var reader = AddedTokenReader(faults: faults)
        try reader.readList(root["added_tokens"])
        if let configuration { try reader.readConfiguration(configuration["added_tokens_decoder"]) }
        let vocabulary = try vocabulary(model["vocab"], added: reader.tokens)
        let unknown = try unknownToken(model["unk_token"], vocabulary)
        let template = try TemplateReader(faults: faults).read(root["post_processor"], count: vocabulary.count)
        return TokenizerDefinition(
            vocabulary: vocabulary, merges: try merges(model["merges"], vocabulary), preTokenizer: preTokenizer,
            ignoresMerges: try flag(model, "ignore_merges"), unknown: unknown, prefix: template.prefix,
            suffix: template.suffix, addedTokens: reader.tokens,
            names: names(configuration, added: reader.tokens, vocabulary))
    }

    /// What a refused part calls itself.
    static func name(of value: JSONValue) -> String { value["type"]?.string.map { "type \($0)" } ?? "its form" }

    // MARK: - model

    private func flag(_ model: JSONValue, _ key: String) throws(TokenizerError) -> Bool {
        guard let value = model[key], !value.isNull else { return false }
        guard let flag = value.bool else { throw faults.fault("model.\(key)", "not true or false") }
        return flag
    }

    private func checkModel(_ model: JSONValue) throws(TokenizerError) {
        if let type = model["type"], type.string != "BPE" {
            throw faults.fault("model.type", "\(type.string ?? "its form") is not supported, only BPE")
        }
        for key in ["byte_fallback", "fuse_unk"] where try flag(model, key) {
            throw faults.fault("model.\(key)", "true is not supported")
        }
        if let dropout = model["dropout"], !dropout.isNull, dropout.number != 0 {
            throw faults.fault("model.dropout", "is not supported")
        }
        for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let value = model[key], !value.isNull, value.string != "" {
                throw faults.fault("model.\(key)", "is not supported")
            }
        }
    }

    private func checkDecoder(_ decoder: JSONValue?) throws(TokenizerError) {
        var decoder = decoder
        if decoder?["type"]?.string == "Sequence", let list = decoder?["decoders"]?.array, list.count == 1 {
            decoder = list[0]
        }
        guard decoder?["type"]?.string == "ByteLevel" else {
            throw faults.fault("decoder", "\(decoder.map(Self.name) ?? "none") is not supported, only ByteLevel")
        }
    }

    private func vocabulary(_ value: JSONValue?, added: [AddedToken]) throws(TokenizerError) -> Vocabulary {
        guard let object = value?.object else { throw faults.fault("model.vocab", "not an object") }
        var count = 0
        for (key, value) in object.entries {
            guard let id = value.integer, id >= 0, id < Vocabulary.maxTokenCount else {
                throw faults.fault("model.vocab", "id of \(Self.quoted(key)) is not in 0..<\(Vocabulary.maxTokenCount)")
            }
            count = max(count, id + 1)
        }
        for token in added { count = max(count, Int(token.id) + 1) }
        guard count > 0, count <= object.count + added.count else {
            throw faults.fault("model.vocab", "\(object.count) tokens leave gaps below id \(count)")
        }
        var spellings = [String?](repeating: nil, count: count)
        for (key, value) in object.entries {
            guard let id = value.integer, !key.isEmpty else { throw faults.fault("model.vocab", "an empty token") }
            guard spellings[id] == nil else { throw faults.fault("model.vocab", "two tokens have id \(id)") }
            spellings[id] = key
        }
        return try VocabularyAssembly(faults: faults).vocabulary(spellings, added: added)
    }

    private func unknownToken(_ value: JSONValue?, _ vocabulary: Vocabulary) throws(TokenizerError) -> TokenID? {
        guard let value, !value.isNull else { return nil }
        guard let text = value.string, let id = vocabulary.token(spelled: text) else {
            throw faults.fault("model.unk_token", "not a token of the vocabulary")
        }
        return id
    }

    private func merges(_ value: JSONValue?, _ vocabulary: Vocabulary) throws(TokenizerError) -> MergeTable {
        guard let list = value?.array else { throw faults.fault("model.merges", "not a list") }
        var builder = try MergeTableBuilder(count: list.count, vocabulary: vocabulary, faults: faults)
        for value in list {
            if let line = value.string {
                try builder.append(line)
            } else if let pair = value.array, pair.count == 2, let left = pair[0].string, let right = pair[1].string {
                try builder.append(left, right)
            } else {
                throw faults.fault("model.merges", "merge \(builder.count) is not two tokens")
            }
        }
        return builder.table
    }

    // MARK: - Names

    private func names(
        _ configuration: JSONValue?, added: [AddedToken], _ vocabulary: Vocabulary
    ) -> SpecialTokenNames {
        func token(_ key: String) -> TokenID? {
            guard let value = configuration?[key], let text = value.string ?? value["content"]?.string else {
                return nil
            }
            return added.first { $0.content == text }?.id ?? vocabulary.token(spelled: text)
        }
        return SpecialTokenNames(
            bos: token("bos_token"), eos: token("eos_token"), endOfTurn: nil, padding: token("pad_token"))
    }

    /// The start of a name from a file: at most 40 scalars.
    static func quoted(_ text: String) -> String { "\"\(String(text.unicodeScalars.prefix(40)))\"" }
}
