/// Cuts a template's source into tokens, with Jinja's white space rules: `trim_blocks` (the newline after a block or
/// comment goes), `lstrip_blocks` (so does the indentation before one), `-` strips further, `+` turns both off.
struct TemplateLexer {
    private let source: [Unicode.Scalar]
    private let file: String
    private var position = 0
    private var line = 1
    private var tokens: [TemplateToken] = []
    /// The last tag swallowed the newline after it, so that text begins at the start of a line.
    private var isLineStart = true

    /// - Throws: `TemplateError` of kind `.syntax`.
    static func tokens(of source: String, file: String) throws(TemplateError) -> [TemplateToken] {
        var lexer = TemplateLexer(source: source, file: file)
        return try lexer.run()
    }

    private init(source: String, file: String) {
        var scalars: [Unicode.Scalar] = []
        var previous: Unicode.Scalar?
        for scalar in source.unicodeScalars {
            if scalar == "\n", previous == "\r" {
            } else {
                scalars.append(scalar == "\r" ? "\n" : scalar)
            }
            previous = scalar
        }
        if scalars.last == "\n" { scalars.removeLast() }
        self.source = scalars
        self.file = file
    }

    private func fault(_ message: String) -> TemplateError {
        TemplateError(.syntax, message, file: file, line: line)
    }

    private mutating func run() throws(TemplateError) -> [TemplateToken] {
        while position < source.count {
            let start = nextTag()
            guard start < source.count else {
                append(.data(text(position..<start)))
                break
            }
            try tag(at: start)
        }
        append(.end)
        return tokens
    }

    private mutating func append(_ kind: TemplateToken.Kind) {
        if case .data("") = kind { return }
        tokens.append(TemplateToken(kind: kind, line: line))
    }

    private func text(_ range: Range<Int>) -> String {
        var text = ""
        text.unicodeScalars.append(contentsOf: source[range])
        return text
    }

    private func scalar(at index: Int) -> Unicode.Scalar? { index < source.count ? source[index] : nil }

    private func matches(_ word: String, at index: Int) -> Bool {
        var index = index
        for expected in word.unicodeScalars {
            guard scalar(at: index) == expected else { return false }
            index += 1
        }
        return true
    }

    private func nextTag() -> Int {
        var index = position
        while index < source.count {
            if source[index] == "{", let next = scalar(at: index + 1), next == "{" || next == "%" || next == "#" { break }
            index += 1
        }
        return index
    }

    /// Moves to `index`, counting lines.
    private mutating func advance(to index: Int) {
        for scalar in source[position..<index] where scalar == "\n" { line += 1 }
        if index > position { isLineStart = source[index - 1] == "\n" }
        position = index
    }

    private func skippingSpace(from index: Int) -> Int {
        var index = index
        while let scalar = scalar(at: index), PythonText.isSpace(scalar) { index += 1 }
        return index
    }

    /// Text before the tag at `start`, then the tag.
    private mutating func tag(at start: Int) throws(TemplateError) {
        let sign = scalar(at: start + 2).flatMap { $0 == "-" || $0 == "+" ? $0 : nil }
        let opener = source[start + 1]
        append(.data(text(position..<stripped(before: start, sign: sign, stripsLine: opener != "{"))))
        advance(to: start)
        let inside = start + 2 + (sign == nil ? 0 : 1)
        switch opener {
        case "#": try comment(from: inside)
        case "{":
            append(.outputBegin)
            advance(to: inside)
            try expression(closer: "}}", end: .outputEnd)
        default:
            if let body = rawBody(from: inside) { return try raw(from: body) }
            append(.blockBegin)
            advance(to: inside)
            try expression(closer: "%}", end: .blockEnd)
        }
    }

    /// Where the text before a tag ends once it is stripped.
    private func stripped(before start: Int, sign: Unicode.Scalar?, stripsLine: Bool) -> Int {
        var end = start
        if sign == "-" {
            while end > position, PythonText.isSpace(source[end - 1]) { end -= 1 }
        } else if sign != "+", stripsLine {
            var index = start
            while index > position, source[index - 1] != "\n", PythonText.isSpace(source[index - 1]) { index -= 1 }
            if index > position ? source[index - 1] == "\n" : isLineStart { end = index }
        }
        return end
    }

    /// The position after a closing delimiter at `index` with its white space, or nil.
    private func closing(_ closer: String, at index: Int, trims: Bool) -> Int? {
        if matches("-" + closer, at: index) { return skippingSpace(from: index + 3) }
        if trims, matches("+" + closer, at: index) { return index + 3 }
        guard matches(closer, at: index) else { return nil }
        return trims && scalar(at: index + 2) == "\n" ? index + 3 : index + 2
    }

    private mutating func comment(from inside: Int) throws(TemplateError) {
        var index = inside
        while index < source.count {
            if let end = closing("#}", at: index, trims: true) { return advance(to: end) }
            index += 1
        }
        throw fault("a comment is not closed")
    }

    /// Where the text of `{% raw %}` begins, if this is one.
    private func rawBody(from inside: Int) -> Int? {
        let word = skippingSpace(from: inside)
        guard matches("raw", at: word) else { return nil }
        let end = skippingSpace(from: word + 3)
        if matches("-%}", at: end) { return skippingSpace(from: end + 3) }
        return matches("%}", at: end) ? end + 2 : nil
    }

    private mutating func raw(from body: Int) throws(TemplateError) {
        advance(to: body)
        // The reference forgives this one.
        if body == source.count { return }
        var index = body
        while index < source.count {
            if matches("{%", at: index) {
                let sign = scalar(at: index + 2).flatMap { $0 == "-" || $0 == "+" ? $0 : nil }
                let word = skippingSpace(from: index + (sign == nil ? 2 : 3))
                if matches("endraw", at: word),
                    let end = closing("%}", at: skippingSpace(from: word + 6), trims: true)
                {
                    append(.data(text(position..<stripped(before: index, sign: sign, stripsLine: true))))
                    return advance(to: end)
                }
            }
            index += 1
        }
        throw fault("'raw' is not closed")
    }
}

// Inside of a tag.
extension TemplateLexer {
    private mutating func expression(closer: String, end: TemplateToken.Kind) throws(TemplateError) {
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
