import MartletCore

/// Collects the added tokens of a `tokenizer.json` and of a `tokenizer_config.json`.
struct AddedTokenReader {
    let faults: TokenizerFaults
    private(set) var tokens: [AddedToken] = []
    private var ids: Set<TokenID> = []
    private var contents: Set<[UInt8]> = []
    private var byteCount = 0

    init(faults: TokenizerFaults) { self.faults = faults }

    /// `added_tokens` of a tokenizer.json: a list of objects.
    mutating func readList(_ value: JSONValue?) throws(TokenizerError) {
        guard let value, !value.isNull else { return }
        guard let list = value.array else { throw faults.fault("added_tokens", "not a list") }
        for (index, item) in list.enumerated() {
            let field = "added_tokens[\(index)]"
            guard let id = item["id"]?.integer else { throw faults.fault("\(field).id", "not an integer") }
            let token = try token(item, id: id, field: field)
            guard !ids.contains(token.id) else { throw faults.fault("\(field).id", "\(token.id) is there twice") }
            guard try append(token, field: field) else { throw faults.fault("\(field).content", "is there twice") }
        }
    }

    /// `added_tokens_decoder` of a tokenizer_config.json: objects by id. Only those that are new are taken.
    mutating func readConfiguration(_ value: JSONValue?) throws(TokenizerError) {
        guard let value, !value.isNull else { return }
        guard let object = value.object else { throw faults.fault("added_tokens_decoder", "not an object") }
        for (key, item) in object.entries {
            let field = "added_tokens_decoder.\(TokenizerFile.quoted(key))"
            guard let id = Int(key) else { throw faults.fault(field, "not an id") }
            let token = try token(item, id: id, field: field)
            if !ids.contains(token.id) { _ = try append(token, field: field) }
        }
    }

    /// Enters `token`; false if its content is there already.
    mutating func append(_ token: AddedToken, field: String) throws(TokenizerError) -> Bool {
        guard tokens.count < TokenizerFile.maxAddedTokenCount else {
            throw faults.fault("added_tokens", "more than \(TokenizerFile.maxAddedTokenCount)")
        }
        let content = Array(token.content.utf8)
        guard !content.isEmpty, content.count <= TokenizerFile.maxContentByteCount else {
            throw faults.fault("\(field).content", "not of 1 to \(TokenizerFile.maxContentByteCount) bytes")
        }
        byteCount += content.count
        guard byteCount <= TokenizerFile.maxAddedByteCount else {
            throw faults.fault("added_tokens", "more than \(TokenizerFile.maxAddedByteCount) bytes")
        }
        guard !token.content.unicodeScalars.contains(Tokenizer.guardScalar) else {
            throw faults.fault("\(field).content", "holds U+FDD0, which is reserved")
        }
        guard contents.insert(content).inserted else { return false }
        ids.insert(token.id)
        tokens.append(token)
        return true
    }

    private func token(_ item: JSONValue, id: Int, field: String) throws(TokenizerError) -> AddedToken {
        guard let content = item["content"]?.string else { throw faults.fault("\(field).content", "not a string") }
        guard id >= 0, id < Vocabulary.maxTokenCount else {
            throw faults.fault("\(field).id", "\(id) is not in 0..<\(Vocabulary.maxTokenCount)")
        }
        func flag(_ key: String) throws(TokenizerError) -> Bool {
            guard let value = item[key], !value.isNull else { return false }
            guard let flag = value.bool else { throw faults.fault("\(field).\(key)", "not true or false") }
            return flag
        }
        if try flag("single_word") { throw faults.fault("\(field).single_word", "true is not supported") }
        return AddedToken(
            content: content, id: TokenID(truncatingIfNeeded: id), isSpecial: try flag("special"),
            stripsLeft: try flag("lstrip"), stripsRight: try flag("rstrip"), isNormalized: try flag("normalized"))
    }
}
