// `x | …`: filters on one value. Those on sequences are in `TemplateFilters+Sequences`.
extension TemplateInterpreter {
    static let filterNames: Set<String> = [
        "abs", "attr", "batch", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float",
        "forceescape", "format", "groupby", "indent", "int", "items", "join", "last", "length", "list", "lower", "map",
        "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "safe", "select", "selectattr", "sort",
        "string", "sum", "title", "tojson", "trim", "unique", "upper", "wordcount",
    ]

    func filter(
        _ name: String, _ value: TemplateValue, _ arguments: TemplateCall
    ) throws(TemplateError) -> TemplateValue {
        try charge(2)
        switch name {
        case "default", "d":
            let replaces = value.isUndefined || (arguments.argument(1, "boolean")?.isTrue ?? false) && !value.isTrue
            return replaces ? arguments.argument(0, "default_value") ?? .string("") : value
        case "tojson": return try json(value, arguments)
        case "string": return try text(try printed(value))
        case "safe": return value
        case "length", "count": return .integer(try length(value))
        case "attr":
            guard case .string(let name) = arguments.argument(0, "name") else { throw lacking(name) }
            return try attributeOnly(name, of: value)
        case "items":
            switch value {
            case .mapping(let mapping): return try items(of: mapping)
            case .undefined: return try .list([])
            default: throw TemplateError(.type, "'items' is for mappings")
            }
        case "abs", "round", "int", "float": return try number(name, value, arguments)
        case "trim", "upper", "lower", "title", "capitalize", "escape", "e", "forceescape", "replace", "indent",
            "wordcount", "format":
            return try textFilter(name, value, arguments)
        default: return try sequenceFilter(name, value, arguments)
        }
    }

    func lacking(_ name: String) -> TemplateError {
        TemplateError(.type, "filter '\(name)' was not given what it needs")
    }

    private func attributeOnly(_ name: String, of value: TemplateValue) throws(TemplateError) -> TemplateValue {
        if case .mapping(let mapping) = value, mapping[name] != nil, !Self.mappingMethods.contains(name) {
            return .undefined("a dict has no attribute '\(name)'")
        }
        return try attribute(name, of: value)
    }

    private func length(_ value: TemplateValue) throws(TemplateError) -> Int {
        switch value {
        case .string(let text):
            try charge(text.utf8.count / 64)
            return text.unicodeScalars.count
        case .list(let items), .tuple(let items): return items.items.count
        case .mapping(let mapping): return mapping.count
        case .undefined: return 0
        case .loop(let state): return state.items.count
        default: throw TemplateError(.type, "a \(value.typeName) has no length")
        }
    }

    private func json(_ value: TemplateValue, _ arguments: TemplateCall) throws(TemplateError) -> TemplateValue {
        var writer = TemplateJSON()
        writer.ensuresASCII = arguments.argument(0, "ensure_ascii")?.isTrue ?? false
        switch arguments.argument(1, "indent") {
        case .string(let indent)?: writer.indent = indent
        case .none?, nil: break
        case let width?:
            guard let width = width.integer, width <= 64 else { throw lacking("tojson") }
            writer.indent = String(repeating: " ", count: max(0, width))
        }
        if writer.indent != nil { writer.itemSeparator = "," }
        if let indent = writer.indent, indent.utf8.count > 64 { throw lacking("tojson") }
        switch arguments.argument(2, "separators") {
        case .list(let separators)?, .tuple(let separators)?:
            guard separators.items.count == 2, let item = separators.items[0].string,
                let key = separators.items[1].string, item.utf8.count + key.utf8.count <= 64
            else { throw lacking("tojson") }
            writer.itemSeparator = item
            writer.keySeparator = key
        default: break
        }
        writer.sortsKeys = arguments.argument(3, "sort_keys")?.isTrue ?? false
        var text = ""
        try writer.write(value, into: &text, self)
        return .string(text)
    }
}

// Numbers.
extension TemplateInterpreter {
    private func number(
        _ name: String, _ value: TemplateValue, _ arguments: TemplateCall
    ) throws(TemplateError) -> TemplateValue {
        switch name {
        case "abs":
            guard let number = value.number else { throw TemplateError(.type, "abs of a \(value.typeName)") }
            guard let integer = value.integer else { return .float(number.magnitude) }
            return integer < 0 ? try arithmetic(.subtract, .integer(0), .integer(integer)) : .integer(integer)
        case "int":
            let standard = arguments.argument(0, "default") ?? .integer(0)
            let base = arguments.argument(1, "base")?.integer ?? 10
            return Self.integer(value, base: base).map(TemplateValue.integer) ?? standard
        case "float":
            if let number = value.number { return .float(number) }
            let text = value.string.map { PythonText.stripped($0, nil) }
            return text.flatMap(Double.init).map(TemplateValue.float)
                ?? arguments.argument(0, "default") ?? .float(0)
        default: return try rounded(value, arguments)
        }
    }

    private static func integer(_ value: TemplateValue, base: Int) -> Int? {
        switch value {
        case .bool, .integer: return value.integer
        case .float(let number): return Int(exactly: number.rounded(.towardZero))
        case .string(let text):
            let text = PythonText.stripped(text, nil)
            guard (2...36).contains(base) else { return nil }
            return Int(text, radix: base) ?? Double(text).flatMap { Int(exactly: $0.rounded(.towardZero)) }
        default: return nil
        }
    }

    private func rounded(_ value: TemplateValue, _ arguments: TemplateCall) throws(TemplateError) -> TemplateValue {
        let precision = arguments.argument(0, "precision")?.integer ?? 0
        guard let number = value.number, (-30...30).contains(precision) else { throw lacking("round") }
        let scale = arithmeticPower(precision)
        switch arguments.argument(1, "method")?.string ?? "common" {
        case "ceil": return .float((number * scale).rounded(.up) / scale)
        case "floor": return .float((number * scale).rounded(.down) / scale)
        case "common":
            if case .integer = value, precision >= 0 { return value }
            return .float((number * scale).rounded(.toNearestOrEven) / scale)
        default: throw lacking("round")
        }
    }

    private func arithmeticPower(_ exponent: Int) -> Double {
        var power = 1.0
        for _ in 0..<exponent.magnitude { power *= 10 }
        return exponent < 0 ? 1 / power : power
    }
}

// Texts.
extension TemplateInterpreter {
    private func textFilter(
        _ name: String, _ value: TemplateValue, _ arguments: TemplateCall
    ) throws(TemplateError) -> TemplateValue {
        let source = try printed(value)
        try charge(source.utf8.count / (name == "replace" || name == "trim" ? 16 : 4))
        switch name {
        case "trim": return .string(PythonText.stripped(source, arguments.argument(0, "chars")?.string))
        case "upper": return try text(source.uppercased())
        case "lower": return try text(source.lowercased())
        case "title": return try text(Self.titled(source))
        case "capitalize": return try text(PythonText.capitalized(source))
        case "escape", "e", "forceescape": return try text(Self.escaped(source))
        case "wordcount": return .integer(Self.wordCount(source))
        case "replace":
            guard let old = arguments.argument(0, "old"), let new = arguments.argument(1, "new") else {
                throw lacking(name)
            }
            return try replaced(source, try printed(old), try printed(new), arguments.argument(2, "count"))
        case "indent": return try indented(source, arguments)
        default:
            if arguments.named.isEmpty { return try formatted(source, try .tuple(arguments.positional)) }
            var fields = TemplateMapping()
            for (name, value) in arguments.named { try fields.set(.string(name), to: value) }
            return try formatted(source, .mapping(fields))
        }
    }

    /// Jinja's own: words begin after white space, hyphens and opening brackets only.
    private static func titled(_ text: String) -> String {
        var result = ""
        var isInside = false
        for scalar in text.unicodeScalars {
            let isBreak = PythonText.isSpace(scalar) || "-({[<".unicodeScalars.contains(scalar)
            result += isInside ? scalar.properties.lowercaseMapping : scalar.properties.uppercaseMapping
            isInside = !isBreak
        }
        return result
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "'": result += "&#39;"
            case "\"": result += "&#34;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func wordCount(_ text: String) -> Int {
        var count = 0
        var isInside = false
        for scalar in text.unicodeScalars {
            let isWord = scalar == "_" || scalar.properties.isAlphabetic || scalar.properties.numericType != nil
            if isWord, !isInside { count += 1 }
            isInside = isWord
        }
        return count
    }

    private func indented(_ text: String, _ arguments: TemplateCall) throws(TemplateError) -> TemplateValue {
        let indent: String
        switch arguments.argument(0, "width") {
        case .string(let text)?: indent = text
        case let width?:
            guard let width = width.integer, width <= 1000 else { throw lacking("indent") }
            indent = String(repeating: " ", count: max(0, width))
        case nil: indent = "    "
        }
        let indentsFirst = arguments.argument(1, "first")?.isTrue ?? false
        let indentsBlank = arguments.argument(2, "blank")?.isTrue ?? false
        var lines = PythonText.lines(text + "\n")
        try chargeText(text.utf8.count + (lines.count + 1) * indent.utf8.count)
        for index in lines.indices {
            let isWanted = index == 0 ? indentsFirst : indentsBlank || !lines[index].isEmpty
            if isWanted { lines[index] = indent + lines[index] }
        }
        return .string(lines.joined(separator: "\n"))
    }
}
