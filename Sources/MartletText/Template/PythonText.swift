import Foundation

/// Python's view of text: a sequence of scalars, where Swift's is one of characters. Templates are written for Python.
enum PythonText {
    /// `str.isspace` of one scalar.
    static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20, 0x09...0x0D, 0x1C...0x1F: true
        case 0..<0x80: false
        default: scalar.properties.isWhitespace
        }
    }

    /// `text * count`, by doubling.
    static func repeated(_ text: String, _ count: Int) -> String {
        var result = ""
        var power = text
        var remaining = count
        while remaining > 0 {
            if remaining & 1 == 1 { result += power }
            remaining >>= 1
            if remaining > 0 { power += power }
        }
        return result
    }

    /// `str.strip` and its one-sided kin: `characters` are taken off the ends, white space if nil.
    static func stripped(_ text: String, _ characters: String?, left: Bool = true, right: Bool = true) -> String {
        let set = characters.map { Set($0.unicodeScalars) }
        func goes(_ scalar: Unicode.Scalar) -> Bool { set?.contains(scalar) ?? isSpace(scalar) }
        var rest = text.unicodeScalars[...]
        if left { rest = rest.drop(while: goes) }
        if right { while let last = rest.last, goes(last) { rest.removeLast() } }
        return String(rest)
    }

    /// Byte offsets of `part` in `text`, from the left, not overlapping, at most `limit` of them; linear time.
    static func occurrences(of part: String, in text: String, limit: Int = .max) -> [Int] {
        guard !part.isEmpty else { return [] }
        let part = Array(part.utf8)
        let borders = TextMatcher.borders(of: part)
        var text = text
        return text.withUTF8 { text in
            var offsets: [Int] = []
            var matched = 0
            var offset = 0
            while offset < text.count, offsets.count < limit {
                let byte = text[offset]
                offset += 1
                while matched > 0, byte != part[matched] { matched = borders[matched - 1] }
                guard byte == part[matched] else { continue }
                matched += 1
                guard matched == part.count else { continue }
                offsets.append(offset - matched)
                matched = 0
            }
            return offsets
        }
    }

    /// `str.split` by a separator that is not empty.
    static func split(_ text: String, by separator: String, limit: Int = .max) -> [String] {
        let bytes = Array(text.utf8)
        var pieces: [String] = []
        var start = 0
        for offset in occurrences(of: separator, in: text, limit: limit) {
            pieces.append(String(decoding: bytes[start..<offset], as: UTF8.self))
            start = offset + separator.utf8.count
        }
        pieces.append(String(decoding: bytes[start...], as: UTF8.self))
        return pieces
    }

    /// `str.rsplit` by a separator that is not empty.
    static func splitFromRight(_ text: String, by separator: String, limit: Int) -> [String] {
        let reversed = split(reversed(text), by: self.reversed(separator), limit: limit)
        return reversed.reversed().map(self.reversed)
    }

    private static func reversed(_ text: String) -> String {
        var result = ""
        result.unicodeScalars.append(contentsOf: text.unicodeScalars.reversed())
        return result
    }

    /// `str.split()`: by white space, without empty pieces. After `limit` cuts the rest is one piece.
    static func words(_ text: String, limit: Int = .max) -> [String] {
        var pieces: [String] = []
        var rest = text.unicodeScalars[...].drop(while: isSpace)
        while !rest.isEmpty {
            let word = pieces.count < limit ? rest.prefix { !isSpace($0) } : rest
            pieces.append(String(word))
            rest = rest[word.endIndex...].drop(while: isSpace)
        }
        return pieces
    }

    /// `str.splitlines`.
    static func lines(_ text: String, keepsEnds: Bool = false) -> [String] {
        var lines: [String] = []
        var line = String.UnicodeScalarView()
        var previous: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            if scalar == "\n", previous == "\r" {
                if keepsEnds, let last = lines.popLast() { lines.append(last + "\n") }
            } else if isLineEnd(scalar) {
                if keepsEnds { line.append(scalar) }
                lines.append(String(line))
                line = String.UnicodeScalarView()
            } else {
                line.append(scalar)
            }
            previous = scalar
        }
        if !line.isEmpty { lines.append(String(line)) }
        return lines
    }

    private static func isLineEnd(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }

    /// `str.replace`; an empty `part` stands between all scalars.
    static func replaced(_ text: String, _ part: String, by replacement: String, limit: Int = .max) -> String {
        guard part.isEmpty else { return split(text, by: part, limit: limit).joined(separator: replacement) }
        var result = ""
        var count = 0
        for scalar in text.unicodeScalars {
            if count < limit { result += replacement }
            count += 1
            result.unicodeScalars.append(scalar)
        }
        return count < limit ? result + replacement : result
    }

    /// `str.capitalize`.
    static func capitalized(_ text: String) -> String {
        guard let first = text.unicodeScalars.first else { return "" }
        return first.properties.titlecaseMapping + String(text.unicodeScalars.dropFirst()).lowercased()
    }

    /// `str.title`: a word begins after anything that has no case.
    static func titled(_ text: String) -> String {
        var result = ""
        var isInside = false
        for scalar in text.unicodeScalars {
            result += isInside ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
            isInside = scalar.properties.isCased
        }
        return result
    }

    /// `repr` of a string.
    static func represented(_ text: String) -> String {
        let quote: Unicode.Scalar = text.utf8.contains(0x27) && !text.utf8.contains(0x22) ? "\"" : "'"
        var result = String.UnicodeScalarView([quote])
        for scalar in text.unicodeScalars {
            switch scalar {
            case quote, "\\": result.append(contentsOf: ["\\", scalar])
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            case "\t": result.append(contentsOf: "\\t".unicodeScalars)
            case _ where isPrintable(scalar): result.append(scalar)
            default: result.append(contentsOf: escaped(scalar).unicodeScalars)
            }
        }
        result.append(quote)
        return String(result)
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if (0x20..<0x7F as Range<UInt32>).contains(scalar.value) { return true }
        return switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            false
        default: true
        }
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        switch scalar.value {
        case 0..<0x100: "\\x" + hexadecimal(scalar.value, 2)
        case 0..<0x10000: "\\u" + hexadecimal(scalar.value, 4)
        default: "\\U" + hexadecimal(scalar.value, 8)
        }
    }

    /// Lower case, with leading zeros.
    static func hexadecimal(_ value: UInt32, _ width: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// `'%.3f' % value`.
    static func fixed(_ value: Double, _ precision: Int) -> String { String(format: "%.\(precision)f", value) }
}
