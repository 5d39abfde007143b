// Inside of a tag.
extension TemplateLexer {
    mutating func expression(closer: String, end: TemplateToken.Kind) throws(TemplateError) {
        var brackets: [Unicode.Scalar] = []
        while let scalar = scalar(at: position) {
            if brackets.isEmpty, let after = closing(closer, at: position, trims: end == .blockEnd) {
                append(end)
                return advance(to: after)
            }
            if PythonText.isSpace(scalar) {
                advance(to: position + 1)
            } else if scalar == "'" || scalar == "\"" {
                try string(quote: scalar)
            } else if ("0"..."9").contains(scalar) {
                try number()
            } else if Self.isNameScalar(scalar) {
                let start = position
                var index = position
                while let next = self.scalar(at: index), Self.isNameScalar(next) { index += 1 }
                append(.name(text(start..<index)))
                advance(to: index)
            } else {
                try symbol(scalar, brackets: &brackets)
            }
        }
        throw fault("a tag is not closed: expected '\(closer)'")
    }

    private static func isNameScalar(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: true
        case 0..<0x80: false
        default: scalar.properties.isAlphabetic || scalar.properties.numericType != nil
        }
    }

    private static let pairs: [Unicode.Scalar: Unicode.Scalar] = [")": "(", "]": "[", "}": "{"]
    private static let longSymbols = ["//", "**", "==", "!=", ">=", "<="]

    private mutating func symbol(_ scalar: Unicode.Scalar, brackets: inout [Unicode.Scalar]) throws(TemplateError) {
        if let long = Self.longSymbols.first(where: { matches($0, at: position) }) {
            append(.symbol(long))
            return advance(to: position + 2)
        }
        switch scalar {
        case "(", "[", "{": brackets.append(scalar)
        case ")", "]", "}":
            guard brackets.popLast() == Self.pairs[scalar] else { throw fault("unexpected '\(scalar)'") }
        case "+", "-", "*", "/", "%", "~", "<", ">", "=", ".", ":", "|", ",": break
        default: throw fault("unexpected character '\(scalar)'")
        }
        append(.symbol(String(Character(scalar))))
        advance(to: position + 1)
    }

    private mutating func number() throws(TemplateError) {
        let start = position
        func digits(from index: Int) -> Int {
            var index = index
            while let scalar = scalar(at: index),
                ("0"..."9").contains(scalar) || scalar == "_" && (self.scalar(at: index + 1)?.isDigit ?? false)
            {
                index += 1
            }
            return index
        }
        var end = digits(from: start)
        var isFloat = false
        // After a dot, `a.0.1` is two items, not a fraction.
        if tokens.last?.kind != .symbol(".") {
            if scalar(at: end) == ".", scalar(at: end + 1)?.isDigit ?? false {
                isFloat = true
                end = digits(from: end + 1)
            }
            if scalar(at: end) == "e" || scalar(at: end) == "E" {
                let sign = scalar(at: end + 1) == "+" || scalar(at: end + 1) == "-" ? 1 : 0
                if scalar(at: end + 1 + sign)?.isDigit ?? false {
                    isFloat = true
                    end = digits(from: end + 1 + sign)
                }
            }
        }
        let literal = text(start..<end).filter { $0 != "_" }
        if isFloat, let value = Double(literal) {
            append(.float(value))
        } else if let value = Int(literal) {
            append(.integer(value))
        } else {
            throw fault("the number \(literal.prefix(30)) is out of range")
        }
        advance(to: end)
    }

    private mutating func string(quote: Unicode.Scalar) throws(TemplateError) {
        var value = ""
        var index = position + 1
        while let scalar = scalar(at: index) {
            if scalar == quote {
                append(.string(value))
                return advance(to: index + 1)
            }
            if scalar == "\\" {
                index = try escape(at: index + 1, into: &value)
            } else {
                value.unicodeScalars.append(scalar)
                index += 1
            }
        }
        throw fault("a string is not closed")
    }

    private static let escapes: [Unicode.Scalar: Unicode.Scalar] = [
        "n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", "\"": "\"", "a": "\u{07}", "b": "\u{08}",
        "f": "\u{0C}", "v": "\u{0B}",
    ]

    /// Python's escapes; the backslash of an unknown one stays. Returns the position after it.
    private func escape(at index: Int, into value: inout String) throws(TemplateError) -> Int {
        guard let scalar = scalar(at: index) else { throw fault("a string is not closed") }
        if scalar == "\n" { return index + 1 }
        if let plain = Self.escapes[scalar] {
            value.unicodeScalars.append(plain)
            return index + 1
        }
        let counts: [Unicode.Scalar: Int] = ["x": 2, "u": 4, "U": 8]
        if let count = counts[scalar] {
            let end = index + 1 + count
            guard end <= source.count, let code = UInt32(text(index + 1..<end), radix: 16),
                let decoded = Unicode.Scalar(code)
            else { throw fault("malformed \\\(scalar) escape") }
            value.unicodeScalars.append(decoded)
            return end
        }
        var end = index
        while end < index + 3, let digit = self.scalar(at: end), ("0"..."7").contains(digit) { end += 1 }
        if end > index, let code = UInt32(text(index..<end), radix: 8), let decoded = Unicode.Scalar(code) {
            value.unicodeScalars.append(decoded)
            return end
        }
        value.unicodeScalars.append("\\")
        value.unicodeScalars.append(scalar)
        return index + 1
    }
}

extension Unicode.Scalar {
    /// ASCII digits only.
    var isDigit: Bool { ("0"..."9").contains(self) }
}
