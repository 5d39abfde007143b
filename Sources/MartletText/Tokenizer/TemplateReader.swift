import MartletCore

/// Reads a `post_processor`: which tokens stand before and after the text.
struct TemplateReader {
    typealias Template = (prefix: [TokenID], suffix: [TokenID])

    let faults: TokenizerFaults
    /// Tokens of a template; more are refused.
    private static let maxCount = 64

    /// `count`: of the vocabulary, which bounds the ids.
    func read(_ value: JSONValue?, count: Int) throws(TokenizerError) -> Template {
        guard let value, !value.isNull else { return ([], []) }
        switch value["type"]?.string {
        case "ByteLevel": return ([], [])
        case "TemplateProcessing": return try template(value, count: count)
        case "Sequence":
            guard let list = value["processors"]?.array else {
                throw faults.fault("post_processor.processors", "not a list")
            }
            var whole: Template = ([], [])
            for item in list {
                guard item["type"]?.string != "Sequence" else {
                    throw faults.fault("post_processor", "a sequence in a sequence is not supported")
                }
                let outer = try read(item, count: count)
                whole = (outer.prefix + whole.prefix, whole.suffix + outer.suffix)
                try check(whole)
            }
            return whole
        default: throw faults.fault("post_processor", "\(TokenizerFile.name(of: value)) is not supported")
        }
    }

    private func check(_ template: Template) throws(TokenizerError) {
        guard template.prefix.count + template.suffix.count <= Self.maxCount else {
            throw faults.fault("post_processor", "more than \(Self.maxCount) special tokens")
        }
    }

    private func template(_ value: JSONValue, count: Int) throws(TokenizerError) -> Template {
        guard let pieces = value["single"]?.array else { throw faults.fault("post_processor.single", "not a list") }
        var template: Template = ([], [])
        var hasSequence = false
        for piece in pieces {
            if let special = piece["SpecialToken"]?["id"]?.string {
                let ids = try ids(of: special, value["special_tokens"], count: count)
                if hasSequence { template.suffix += ids } else { template.prefix += ids }
                try check(template)
            } else if piece["Sequence"]?["id"]?.string == "A", !hasSequence {
                hasSequence = true
            } else {
                throw faults.fault("post_processor.single", "not special tokens around one sequence")
            }
        }
        guard hasSequence else { throw faults.fault("post_processor.single", "holds no sequence") }
        return template
    }

    private func ids(of name: String, _ table: JSONValue?, count: Int) throws(TokenizerError) -> [TokenID] {
        guard let list = table?[name]?["ids"]?.array, list.count <= Self.maxCount else {
            throw faults.fault("post_processor.special_tokens", "\(TokenizerFile.quoted(name)) has no ids")
        }
        var ids: [TokenID] = []
        for value in list {
            guard let id = value.integer, id >= 0, id < count else {
                throw faults.fault("post_processor.special_tokens", "\(TokenizerFile.quoted(name)) is no token")
            }
            ids.append(TokenID(truncatingIfNeeded: id))
        }
        return ids
    }
}
