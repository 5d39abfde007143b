// `x is …`.
extension TemplateInterpreter {
    func test(_ name: String, _ value: TemplateValue, _ arguments: TemplateCall) throws(TemplateError) -> Bool {
        if let holds = try kindTest(name, value) { return holds }
        guard let other = arguments.positional.first else {
            throw TemplateError(.unsupported, "no test '\(name)', or it lacks its argument")
        }
        switch name {
        case "eq", "equalto", "==": return try compare(.equal, value, other)
        case "ne", "!=": return try compare(.notEqual, value, other)
        case "lt", "lessthan", "<": return try compare(.less, value, other)
        case "le", "<=": return try compare(.lessOrEqual, value, other)
        case "gt", "greaterthan", ">": return try compare(.greater, value, other)
        case "ge", ">=": return try compare(.greaterOrEqual, value, other)
        case "in": return try contains(other, value)
        case "sameas":
            guard value.typeName == other.typeName else { return false }
            return try isEqual(value, other)
        case "divisibleby":
            guard case .integer(let remainder) = try arithmetic(.modulo, value, other) else { return false }
            return remainder == 0
        default: throw TemplateError(.unsupported, "no test '\(name)'")
        }
    }

    /// Tests without an argument; nil if it is none of them.
    private func kindTest(_ name: String, _ value: TemplateValue) throws(TemplateError) -> Bool? {
        switch name {
        case "defined": return !value.isUndefined
        case "undefined": return value.isUndefined
        case "none": if case .none = value { return true } else { return false }
        case "string": return value.string != nil
        case "mapping": if case .mapping = value { return true } else { return false }
        case "boolean": if case .bool = value { return true } else { return false }
        case "true": if case .bool(true) = value { return true } else { return false }
        case "false": if case .bool(false) = value { return true } else { return false }
        case "integer": if case .integer = value { return true } else { return false }
        case "float": if case .float = value { return true } else { return false }
        case "number": return value.number != nil
        case "sequence", "iterable":
            switch value {
            case .string, .list, .tuple, .mapping, .undefined: return true
            default: return false
            }
        case "callable":
            switch value {
            case .function, .macro, .method: return true
            case .loop(let state): return state.recursion != nil
            default: return false
            }
        case "odd", "even":
            guard case .integer(let remainder) = try arithmetic(.modulo, value, .integer(2)) else { return false }
            return (remainder == 1) == (name == "odd")
        case "lower", "upper":
            let text = try printed(value)
            try charge(text.utf8.count / 4)
            return Self.hasCase(text) { name == "lower" ? $0.lowercased() : $0.uppercased() }
        case "escaped": return false
        case "filter": return Self.filterNames.contains(try printed(value))
        default: return nil
        }
    }

    /// `str.islower` and `str.isupper`: unchanged by `mapping`, and with something to change.
    static func hasCase(_ text: String, _ mapping: (String) -> String) -> Bool {
        mapping(text) == text && text.unicodeScalars.contains { $0.properties.isCased }
    }
}
