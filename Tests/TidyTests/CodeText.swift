/// Swift or C with its comments and string literals blanked out: what is left is code. Lines stay where they are.
struct CodeText: Sendable {
    private(set) var bytes: [UInt8]
    private(set) var lines: [Substring] = []
    private var offset = 0

    init(_ text: String) {
        bytes = Array(text.utf8)
        while offset < bytes.count { skipPiece(insideInterpolation: false) }
        lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// Advances over one comment, one literal, or one byte of code.
    private mutating func skipPiece(insideInterpolation: Bool) {
        if starts(with: "//") {
            while offset < bytes.count, bytes[offset] != UInt8(ascii: "\n") { blank() }
        } else if starts(with: "/*") {
            blank()
            while offset < bytes.count, !starts(with: "*/") { blank() }
            blank()
            blank()
        } else if let pounds = openingPounds() {
            skipLiteral(pounds: pounds)
        } else if starts(with: "'"), let length = characterLength() {
            for _ in 0..<length { blank() }
        } else if insideInterpolation {
            blank()
        } else {
            offset += 1
        }
    }

    /// The number of `#` before a `"` here; nil if no string begins.
    private func openingPounds() -> Int? {
        var end = offset
        while end < bytes.count, bytes[end] == UInt8(ascii: "#") { end += 1 }
        return end < bytes.count && bytes[end] == UInt8(ascii: "\"") ? end - offset : nil
    }

    /// C's `'x'` and `'\n'`.
    private func characterLength() -> Int? {
        let isEscaped = offset + 1 < bytes.count && bytes[offset + 1] == UInt8(ascii: "\\")
        let length = isEscaped ? 4 : 3
        guard offset + length <= bytes.count, bytes[offset + length - 1] == UInt8(ascii: "'") else { return nil }
        return length
    }

    private mutating func skipLiteral(pounds: Int) {
        let fence = String(repeating: "#", count: pounds)
        for _ in 0..<pounds { blank() }
        let quote = starts(with: "\"\"\"") ? "\"\"\"" : "\""
        for _ in 0..<quote.utf8.count { blank() }
        while offset < bytes.count, !starts(with: quote + fence) {
            if starts(with: "\\" + fence + "(") {
                for _ in 0..<(pounds + 2) { blank() }
                skipInterpolation()
            } else if starts(with: "\\" + fence) {
                for _ in 0..<(pounds + 2) { blank() }
            } else {
                if quote == "\"", bytes[offset] == UInt8(ascii: "\n") { return }
                blank()
            }
        }
        for _ in 0..<(quote.utf8.count + pounds) { blank() }
    }

    private mutating func skipInterpolation() {
        var depth = 1
        while offset < bytes.count {
            if bytes[offset] == UInt8(ascii: "(") { depth += 1 }
            if bytes[offset] == UInt8(ascii: ")") { depth -= 1 }
            if depth == 0 { return blank() }
            skipPiece(insideInterpolation: true)
        }
    }

    private func starts(with text: String) -> Bool {
        var index = offset
        for byte in text.utf8 {
            guard index < bytes.count, bytes[index] == byte else { return false }
            index += 1
        }
        return true
    }

    private mutating func blank() {
        guard offset < bytes.count else { return }
        if bytes[offset] != UInt8(ascii: "\n") { bytes[offset] = UInt8(ascii: " ") }
        offset += 1
    }
}
