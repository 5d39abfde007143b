// Python's two ways to format: `'%s' % x` and `'{}'.format(x)`, as far as templates use them.
extension TemplateInterpreter {
    /// `format % value`.
    func formatted(_ format: String, _ value: TemplateValue) throws(TemplateError) -> TemplateValue {
        var values: [TemplateValue] = [value]
        if case .tuple(let items) = value { values = items.items }
        var result = ""
        var next = 0
        var rest = format.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar == "%" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            if rest.first == "%" {
                rest.removeFirst()
                result += "%"
                continue
            }
            var value: TemplateValue?
            if rest.first == "(", case .mapping(let mapping) = value ?? values.first {
                rest.removeFirst()
                let name = String(rest.prefix { $0 != ")" })
                rest = rest.drop { $0 != ")" }.dropFirst()
                value = mapping[name]
            } else if next < values.count {
                value = values[next]
                next += 1
            }
            guard let value, let piece = try converted(value, &rest) else {
                throw TemplateError(.type, "the format '\(format.prefix(40))' does not fit its values")
            }
            result += piece
            try chargeText(result.utf8.count)
        }
        return try text(result)
    }

    /// The conversion at the head of `rest`: `[-0][width][.precision]` and one of `s r d i f`; nil if it is another.
    private func converted(
        _ value: TemplateValue, _ rest: inout Substring.UnicodeScalarView
    ) throws(TemplateError) -> String? {
        var isLeft = false
        var fill = " "
        while let flag = rest.first, flag == "-" || flag == "0" {
            if flag == "-" { isLeft = true } else { fill = "0" }
            rest.removeFirst()
        }
        func count() -> Int? {
            let digits = rest.prefix(4).prefix { $0.isDigit }
            rest.removeFirst(digits.count)
            return Int(String(digits))
        }
        let width = count() ?? 0
        var precision: Int?
        if rest.first == "." {
            rest.removeFirst()
            precision = count() ?? 0
        }
        let piece: String
        switch rest.popFirst() {
        case "s": piece = String(try printed(value).unicodeScalars.prefix(precision ?? .max))
        case "r":
            var text = ""
            try represent(value, into: &text)
            piece = text
        case "d", "i":
            guard let number = value.integer ?? value.number.flatMap({ Int(exactly: $0.rounded(.towardZero)) }) else {
                return nil
            }
            piece = "\(number)"
        case "f":
            guard let number = value.number else { return nil }
            piece = PythonText.fixed(number, min(precision ?? 6, 40))
        default: return nil
        }
        let padding = String(repeating: isLeft ? " " : fill, count: max(0, width - piece.unicodeScalars.count))
        return isLeft ? piece + padding : padding + piece
    }

    /// `format.format(…)` with plain fields: `{}`, `{0}`, `{name}`.
    func formatted(_ format: String, _ arguments: TemplateCall) throws(TemplateError) -> TemplateValue {
        var result = ""
        var next = 0
        var rest = format.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            if scalar == "{" || scalar == "}", rest.first == scalar {
                rest.removeFirst()
                result.unicodeScalars.append(scalar)
            } else if scalar == "{" {
                let name = String(rest.prefix { $0 != "}" })
                rest = rest.drop { $0 != "}" }.dropFirst()
                let index = name.isEmpty ? next : Int(name)
                next += 1
                let value = index.map { arguments.positional.indices.contains($0) ? arguments.positional[$0] : nil }
                guard let value = value ?? arguments.named(name) else {
                    throw TemplateError(.type, "the format '\(format.prefix(40))' does not fit its values")
                }
                result += try printed(value)
            } else {
                result.unicodeScalars.append(scalar)
            }
            try charge(1)
            guard result.utf8.count <= limits.outputBytes else {
                throw TemplateError(.limit, "a text of more than \(limits.outputBytes) bytes")
            }
        }
        return try text(result)
    }
}
