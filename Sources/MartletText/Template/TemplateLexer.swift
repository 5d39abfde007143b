/// Cuts a template's source into tokens, with Jinja's white space rules: `trim_blocks` (the newline after a block or
/// comment goes), `lstrip_blocks` (so does the indentation before one), `-` strips further, `+` turns both off.
struct TemplateLexer {
    let source: [Unicode.Scalar]
    private let file: String
    private(set) var position = 0
    private var line = 1
    private(set) var tokens: [TemplateToken] = []
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

    func fault(_ message: String) -> TemplateError {
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

    mutating func append(_ kind: TemplateToken.Kind) {
        if case .data("") = kind { return }
        tokens.append(TemplateToken(kind: kind, line: line))
    }

    func text(_ range: Range<Int>) -> String {
        var text = ""
        text.unicodeScalars.append(contentsOf: source[range])
        return text
    }

    func scalar(at index: Int) -> Unicode.Scalar? { index < source.count ? source[index] : nil }

    func matches(_ word: String, at index: Int) -> Bool {
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
            if source[index] == "{", let next = scalar(at: index + 1), ["{", "%", "#"].contains(next) { break }
            index += 1
        }
        return index
    }

    /// Moves to `index`, counting lines.
    mutating func advance(to index: Int) {
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
    func closing(_ closer: String, at index: Int, trims: Bool) -> Int? {
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
