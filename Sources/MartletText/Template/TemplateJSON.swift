/// `tojson` as `apply_chat_template` defines it: Python's `json.dumps` without HTML escaping.
struct TemplateJSON {
    var ensuresASCII = false
    /// What one level is indented by; nil for one line.
    var indent: String?
    var itemSeparator = ", "
    var keySeparator = ": "
    var sortsKeys = false

    /// - Throws: kind `.type` for what JSON can't say, `.limit` when the text grows too large.
    func write(
        _ value: TemplateValue, level: Int = 0, into text: inout String, _ interpreter: TemplateInterpreter
    ) throws(TemplateError) {
        try interpreter.charge(1)
        switch value {
        case .none: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += "\(value)"
        case .float(let value): text += number(value)
        case .string(let value):
            try interpreter.charge(value.utf8.count / 4)
            quote(value, into: &text)
        case .list(let items), .tuple(let items):
            var isFirst = true
            text += "["
            for item in items.items {
                begin(isFirst, level, &text)
                isFirst = false
                try write(item, level: level + 1, into: &text, interpreter)
            }
            end("]", items.items.isEmpty, level, &text)
        case .mapping(let mapping):
            var isFirst = true
            text += "{"
            for entry in try entries(mapping, interpreter) {
                begin(isFirst, level, &text)
                isFirst = false
                quote(entry.key, into: &text)
                text += keySeparator
                try write(entry.value, level: level + 1, into: &text, interpreter)
            }
            end("}", mapping.count == 0, level, &text)
        default: throw TemplateError(.type, "a \(value.typeName) has no JSON")
        }
        // The indentation is the only text that costs no step of its own.
        try interpreter.chargeText(min(text.utf8.count, 64 * (level + 1)))
        guard text.utf8.count <= interpreter.limits.outputBytes else {
            throw TemplateError(.limit, "a text of more than \(interpreter.limits.outputBytes) bytes")
        }
    }

    private func begin(_ isFirst: Bool, _ level: Int, _ text: inout String) {
        if !isFirst { text += itemSeparator }
        if let indent { text += "\n" + String(repeating: indent, count: level + 1) }
    }

    private func end(_ bracket: String, _ isEmpty: Bool, _ level: Int, _ text: inout String) {
        if let indent, !isEmpty { text += "\n" + String(repeating: indent, count: level) }
        text += bracket
    }

    private func entries(
        _ mapping: TemplateMapping, _ interpreter: TemplateInterpreter
    ) throws(TemplateError) -> [(key: String, value: TemplateValue)] {
        var entries: [(key: String, value: TemplateValue)] = []
        for entry in mapping.entries {
            let key: String =
                switch entry.key {
                case .string(let key): key
                case .none: "null"
                case .bool(let key): key ? "true" : "false"
                case .float(let key): number(key)
                default: try interpreter.printed(entry.key)
                }
            entries.append((key, entry.value))
        }
        try interpreter.charge(entries.count)
        // By scalar, which is by byte.
        return sortsKeys ? entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) } : entries
    }

    private func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        return value.isFinite ? "\(value)" : value < 0 ? "-Infinity" : "Infinity"
    }

    private func quote(_ value: String, into text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{08}": text += "\\b"
            case "\u{0C}": text += "\\f"
            case _ where scalar.value < 0x20 || ensuresASCII && scalar.value > 0x7E:
                for unit in String(scalar).utf16 { text += "\\u" + PythonText.hexadecimal(UInt32(unit), 4) }
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
