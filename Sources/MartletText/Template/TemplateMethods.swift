// Methods of strings, lists and dicts.
extension TemplateInterpreter {
    static let stringMethods: Set<String> = [
        "split", "rsplit", "splitlines", "strip", "lstrip", "rstrip", "startswith", "endswith", "removeprefix",
        "removesuffix", "replace", "find", "rfind", "index", "count", "join", "partition", "rpartition", "upper",
        "lower", "title", "capitalize", "isdigit", "isalpha", "isalnum", "isspace", "isupper", "islower", "zfill",
        "ljust", "rjust", "format", "encode",
    ]
    /// Those that look at bytes, not at characters.
    private static let searchingMethods: Set<String> = [
        "split", "strip", "lstrip", "rstrip", "startswith", "endswith", "removeprefix", "removesuffix", "replace",
        "find", "index", "count", "partition",
    ]
    static let sequenceMethods: Set<String> = [
        "index", "count", "copy", "append", "extend", "insert", "pop", "remove", "reverse", "sort", "clear",
    ]
    static let mappingMethods: Set<String> = [
        "items", "keys", "values", "get", "copy", "pop", "popitem", "update", "setdefault", "clear", "fromkeys",
    ]

    func callMethod(
        _ name: String, of receiver: TemplateValue, _ arguments: TemplateCall
    ) throws(TemplateError) -> TemplateValue {
        switch receiver {
        case .string(let text): return try stringMethod(name, text, arguments)
        case .list(let items), .tuple(let items): return try sequenceMethod(name, items.items, arguments)
        case .mapping(let mapping): return try mappingMethod(name, mapping, arguments)
        case .loop(let state):
            let choices = arguments.positional
            guard !choices.isEmpty else { throw TemplateError(.type, "loop.cycle takes values") }
            return choices[state.index % choices.count]
        default: throw TemplateError(.type, "a \(receiver.typeName) has no method '\(name)'")
        }
    }

    private func missing(_ name: String) -> TemplateError {
        TemplateError(.unsupported, "method '\(name)' is not supported, or not with these arguments")
    }

    private func sequenceMethod(
        _ name: String, _ items: [TemplateValue], _ arguments: TemplateCall
    ) throws(TemplateError) -> TemplateValue {
        switch (name, arguments.positional.first) {
        case ("copy", nil): return try .list(items)
        case ("count", let value?):
            var count = 0
            for item in items where try isEqual(item, value) { count += 1 }
            return .integer(count)
        case ("index", let value?):
            for (index, item) in items.enumerated() where try isEqual(item, value) { return .integer(index) }
            throw TemplateError(.type, "the value is not in the list")
        default: throw TemplateError(.type, "'\(name)' would change a list: a template may not")
        }
    }

    private func mappingMethod(
        _ name: String, _ mapping: TemplateMapping, _ arguments: TemplateCall
    ) throws(TemplateError) -> TemplateValue {
        try charge(mapping.count)
        switch name {
        case "items": return try items(of: mapping)
        case "keys": return try .list(mapping.entries.map(\.key))
        case "values": return try .list(mapping.entries.map(\.value))
        case "copy": return .mapping(mapping)
        case "get":
            guard let key = arguments.positional.first else { throw missing(name) }
            return try mapping.value(for: key) ?? arguments.argument(1, "default") ?? .none
        default: throw TemplateError(.type, "'\(name)' would change a dict: a template may not")
        }
    }

    func items(of mapping: TemplateMapping) throws(TemplateError) -> TemplateValue {
        try charge(mapping.count)
        var items: [TemplateValue] = []
        for entry in mapping.entries { items.append(try .tuple([entry.key, entry.value])) }
        return try .list(items)
    }

    private func stringMethod(
        _ name: String, _ text: String, _ arguments: TemplateCall
    ) throws(TemplateError) -> TemplateValue {
        try charge(1 + text.utf8.count / (Self.searchingMethods.contains(name) ? 16 : 4))
        let first = arguments.positional.first
        switch name {
        case "strip": return try stripped(text, first, left: true, right: true)
        case "lstrip": return try stripped(text, first, left: true, right: false)
        case "rstrip": return try stripped(text, first, left: false, right: true)
        case "upper": return try self.text(text.uppercased())
        case "lower": return try self.text(text.lowercased())
        case "title": return try self.text(PythonText.titled(text))
        case "capitalize": return try self.text(PythonText.capitalized(text))
        case "split", "rsplit", "splitlines", "partition", "rpartition": return try cut(name, text, arguments)
        case "isdigit", "isalpha", "isalnum", "isspace", "isupper", "islower": return .bool(consists(name, text))
        case "join":
            guard let first else { throw missing(name) }
            return try joined(try elements(of: first), by: text)
        case "replace":
            guard let old = first?.string, let new = arguments.argument(1, "new")?.string else { throw missing(name) }
            return try replaced(text, old, new, arguments.argument(2, "count"))
        case "zfill", "ljust", "rjust": return try padded(name, text, arguments)
        case "format": return try formatted(text, arguments)
        default: return try search(name, text, arguments)
        }
    }

    private func stripped(
        _ text: String, _ characters: TemplateValue?, left: Bool, right: Bool
    ) throws(TemplateError) -> TemplateValue {
        switch characters {
        case nil, .some(.none): return .string(PythonText.stripped(text, nil, left: left, right: right))
        case .string(let set)?:
            try chargeText(set.utf8.count)
            return .string(PythonText.stripped(text, set, left: left, right: right))
        case let other?: throw TemplateError(.type, "strip of a \(other.typeName)")
        }
    }

    func replaced(
        _ text: String, _ old: String, _ new: String, _ limit: TemplateValue?
    ) throws(TemplateError) -> TemplateValue {
        let limit = limit?.integer.map { $0 < 0 ? Int.max : $0 } ?? .max
        let count =
            old.isEmpty ? text.utf8.count + 1 : PythonText.occurrences(of: old, in: text, limit: limit).count
        // Both factors are at most a text's bytes, so this can't overflow.
        try chargeText(text.utf8.count + min(count, limit) * max(0, new.utf8.count - old.utf8.count))
        try charge(text.utf8.count / 16)
        return .string(PythonText.replaced(text, old, by: new, limit: limit))
    }

    func joined(_ items: [TemplateValue], by separator: String) throws(TemplateError) -> TemplateValue {
        var text = ""
        for (index, item) in items.enumerated() {
            if index > 0 { text += separator }
            let piece = try printed(item)
            text += piece
            try charge(1 + (separator.utf8.count + piece.utf8.count) / 64)
            guard text.utf8.count <= limits.outputBytes else {
                throw TemplateError(.limit, "a text of more than \(limits.outputBytes) bytes")
            }
        }
        return .string(text)
    }

    private func cut(_ name: String, _ text: String, _ arguments: TemplateCall) throws(TemplateError) -> TemplateValue {
        if name == "splitlines" {
            return try strings(PythonText.lines(text, keepsEnds: arguments.argument(0, "keepends")?.isTrue ?? false))
        }
        let separator = arguments.argument(0, "sep")
        let limit = arguments.argument(1, "maxsplit")?.integer.map { $0 < 0 ? Int.max : $0 } ?? .max
        if let separator = separator?.string {
            guard !separator.isEmpty else { throw TemplateError(.type, "'\(name)' by nothing") }
            switch name {
            case "split": return try strings(PythonText.split(text, by: separator, limit: limit))
            case "rsplit": return try strings(PythonText.splitFromRight(text, by: separator, limit: limit))
            case "partition":
                let pieces = PythonText.split(text, by: separator, limit: 1)
                let parts = pieces.count == 2 ? [pieces[0], separator, pieces[1]] : [text, "", ""]
                return try .tuple(parts.map(TemplateValue.string))
            default:
                let pieces = PythonText.splitFromRight(text, by: separator, limit: 1)
                let parts = pieces.count == 2 ? [pieces[0], separator, pieces[1]] : ["", "", text]
                return try .tuple(parts.map(TemplateValue.string))
            }
        }
        guard name == "split" || limit == .max else { throw missing(name) }
        return try strings(PythonText.words(text, limit: limit))
    }

    func strings(_ texts: [String]) throws(TemplateError) -> TemplateValue {
        try charge(texts.count)
        return try .list(texts.map(TemplateValue.string))
    }

    private func consists(_ name: String, _ text: String) -> Bool {
        let scalars = text.unicodeScalars
        func all(_ holds: (Unicode.Scalar) -> Bool) -> Bool { !scalars.isEmpty && scalars.allSatisfy(holds) }
        func isLetter(_ scalar: Unicode.Scalar) -> Bool {
            switch scalar.properties.generalCategory {
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
            default: false
            }
        }
        switch name {
        case "isdigit": return all { $0.properties.numericType == .decimal || $0.properties.numericType == .digit }
        case "isalpha": return all(isLetter)
        case "isalnum": return all { isLetter($0) || $0.properties.numericType != nil }
        case "isspace": return all(PythonText.isSpace)
        case "isupper": return Self.hasCase(text) { $0.uppercased() }
        default: return Self.hasCase(text) { $0.lowercased() }
        }
    }

    private func padded(
        _ name: String, _ text: String, _ arguments: TemplateCall
    ) throws(TemplateError) -> TemplateValue {
        guard let width = arguments.positional.first?.integer else { throw missing(name) }
        let fill = name == "zfill" ? "0" : arguments.argument(1, "fillchar")?.string ?? " "
        guard fill.unicodeScalars.count == 1 else { throw missing(name) }
        let count = max(0, width.subtractingReportingOverflow(text.unicodeScalars.count).partialValue)
        try chargeText(min(count, limits.outputBytes) * fill.utf8.count + text.utf8.count)
        guard count <= limits.outputBytes else { throw TemplateError(.limit, "a text of \(count) characters") }
        let padding = PythonText.repeated(fill, count)
        if name == "ljust" { return .string(text + padding) }
        if name == "zfill", let sign = text.unicodeScalars.first, sign == "-" || sign == "+" {
            return .string(String(Character(sign)) + padding + String(text.unicodeScalars.dropFirst()))
        }
        return .string(padding + text)
    }

    /// Methods that look for a part.
    private func search(
        _ name: String, _ text: String, _ arguments: TemplateCall
    ) throws(TemplateError) -> TemplateValue {
        var parts: [String] = []
        switch arguments.positional.first {
        case .string(let part)?: parts = [part]
        case .tuple(let items)?: parts = items.items.compactMap(\.string)
        default: throw missing(name)
        }
        guard arguments.positional.count == 1 else { throw missing(name) }
        switch name {
        case "startswith": return .bool(parts.contains { text.utf8.starts(with: $0.utf8) })
        case "endswith": return .bool(parts.contains { text.utf8.reversed().starts(with: $0.utf8.reversed()) })
        default: break
        }
        guard parts.count == 1 else { throw missing(name) }
        let part = parts[0]
        switch name {
        case "removeprefix":
            let matches = text.utf8.starts(with: part.utf8)
            return .string(matches ? String(text.utf8.dropFirst(part.utf8.count)) ?? "" : text)
        case "removesuffix":
            let matches = text.utf8.reversed().starts(with: part.utf8.reversed())
            return .string(matches ? String(text.utf8.dropLast(part.utf8.count)) ?? "" : text)
        case "count":
            let count = part.isEmpty ? text.unicodeScalars.count + 1 : PythonText.occurrences(of: part, in: text).count
            return .integer(count)
        case "find", "index", "rfind":
            let pieces =
                name == "rfind"
                ? PythonText.splitFromRight(text, by: part, limit: 1) : PythonText.split(text, by: part, limit: 1)
            if part.isEmpty { return .integer(name == "rfind" ? text.unicodeScalars.count : 0) }
            if pieces.count == 2 { return .integer(pieces[0].unicodeScalars.count) }
            guard name != "index" else { throw TemplateError(.type, "the part is not in the text") }
            return .integer(-1)
        default: throw missing(name)
        }
    }
}
