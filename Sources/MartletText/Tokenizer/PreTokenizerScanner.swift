/// Cuts valid UTF-8 into pieces, left to right. Every scalar is looked at a bounded number of times.
struct PreTokenizerScanner {
    private let text: UnsafeBufferPointer<UInt8>
    /// `UnicodeClass.table`.
    private let classes: UnsafeBufferPointer<UInt8>
    private let preTokenizer: PreTokenizer
    private var position = 0
    /// The expression sees nothing from here on: the next isolated digit, or the end of the text.
    private var limit: Int
    /// Scalars looked at so far: the work done, for tests.
    private(set) var operations = 0

    /// What the text holds at an offset.
    private struct Sight {
        let kind: UInt8
        /// In bytes.
        let length: Int
    }

    init(_ text: UnsafeBufferPointer<UInt8>, classes: UnsafeBufferPointer<UInt8>, preTokenizer: PreTokenizer) {
        self.text = text
        self.classes = classes
        self.preTokenizer = preTokenizer
        limit = preTokenizer.isolatesDigits ? 0 : text.count
    }

    /// The next piece; nil at the end.
    mutating func next() -> Range<Int>? {
        guard position < text.count else { return nil }
        let start = position
        if start == limit {
            let digit = look(start, until: text.count)
            if Self.isDigit(digit.kind) {
                position += digit.length
                limit = position
                return start..<position
            }
            findDigit()
        }
        switch preTokenizer.expression {
        case .cl100k(let digitGroup): position = cl100k(start, digitGroup: digitGroup)
        case .gpt2: position = gpt2(start)
        }
        return start..<position
    }

    /// Moves `limit` to the next digit.
    private mutating func findDigit() {
        while limit < text.count {
            let here = look(limit, until: text.count)
            if Self.isDigit(here.kind) { return }
            limit += here.length
        }
    }

    private static func isDigit(_ kind: UInt8) -> Bool {
        kind == UnicodeClass.number || kind == UnicodeClass.digitOnly
    }

    // MARK: - Expressions: each returns the end of the piece at `start`, which is before `limit`.

    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+`
    /// `|\s+(?!\S)|\s+`
    private mutating func cl100k(_ start: Int, digitGroup: Int) -> Int {
        if let end = contraction(start, ignoresCase: true) { return end }
        let first = look(start)
        let second = start + first.length
        switch first.kind {
        case UnicodeClass.letter: return run(of: UnicodeClass.letter, from: second)
        case UnicodeClass.number: return run(of: UnicodeClass.number, from: second, atMost: digitGroup - 1)
        case UnicodeClass.newline: return spaces(start, endsAtNewline: true)
        default: break
        }
        let next = look(second)
        if next.kind == UnicodeClass.letter { return run(of: UnicodeClass.letter, from: second + next.length) }
        if Self.isOther(first.kind) || (text[start] == UInt8(ascii: " ") && Self.isOther(next.kind)) {
            return run(of: UnicodeClass.newline, from: others(from: second))
        }
        return spaces(start, endsAtNewline: true)
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    private mutating func gpt2(_ start: Int) -> Int {
        if let end = contraction(start, ignoresCase: false) { return end }
        var first = look(start)
        var second = start + first.length
        if text[start] == UInt8(ascii: " ") {
            let next = look(second)
            if next.kind == UnicodeClass.letter || next.kind == UnicodeClass.number || Self.isOther(next.kind) {
                first = next
                second += next.length
            }
        }
        switch first.kind {
        case UnicodeClass.letter, UnicodeClass.number: return run(of: first.kind, from: second)
        case UnicodeClass.space, UnicodeClass.newline: return spaces(start, endsAtNewline: false)
        default: return others(from: second)
        }
    }

    /// End of an English contraction. The long s is an s where case is ignored.
    private func contraction(_ start: Int, ignoresCase: Bool) -> Int? {
        guard text[start] == UInt8(ascii: "'"), start + 1 < limit else { return nil }
        func letter(_ offset: Int) -> UInt8 {
            guard offset < limit else { return 0 }
            let byte = text[offset]
            return ignoresCase && byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
        }
        let second = letter(start + 2)
        switch letter(start + 1) {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
        case UInt8(ascii: "r"), UInt8(ascii: "v"): return second == UInt8(ascii: "e") ? start + 3 : nil
        case UInt8(ascii: "l"): return second == UInt8(ascii: "l") ? start + 3 : nil
        case 0xC5: return ignoresCase && second == 0xBF ? start + 3 : nil
        default: return nil
        }
    }

    /// White space from `start`: through its last line end if `endsAtNewline` and it has one; else all of it where the
    /// text ends, all but its last scalar before something else, or that scalar alone.
    private mutating func spaces(_ start: Int, endsAtNewline: Bool) -> Int {
        var end = start
        var last = start
        var lineEnd: Int?
        while true {
            let here = look(end)
            guard here.kind == UnicodeClass.space || here.kind == UnicodeClass.newline else { break }
            last = end
            end += here.length
            if here.kind == UnicodeClass.newline { lineEnd = end }
        }
        if endsAtNewline, let lineEnd { return lineEnd }
        return end == limit || last == start ? end : last
    }

    private mutating func run(of kind: UInt8, from start: Int, atMost count: Int = .max) -> Int {
        var end = start
        var left = count
        while left > 0 {
            let here = look(end)
            guard here.kind == kind else { break }
            end += here.length
            left -= 1
        }
        return end
    }

    private mutating func others(from start: Int) -> Int {
        var end = start
        while true {
            let here = look(end)
            guard Self.isOther(here.kind) else { return end }
            end += here.length
        }
    }

    private static func isOther(_ kind: UInt8) -> Bool {
        kind == UnicodeClass.other || kind == UnicodeClass.digitOnly
    }

    @inline(__always)
    private mutating func look(_ offset: Int) -> Sight { look(offset, until: limit) }

    /// The scalar at `offset`. The text is valid UTF-8 and `end` a boundary in it.
    @inline(__always)
    private mutating func look(_ offset: Int, until end: Int) -> Sight {
        operations += 1
        guard offset < end else { return Sight(kind: UnicodeClass.end, length: 0) }
        let lead = text[offset]
        if lead < 0x80 { return Sight(kind: classes[Int(lead)], length: 1) }
        func continuation(_ index: Int) -> Int { Int(text[offset + index] & 0x3F) }
        if lead < 0xE0 { return Sight(kind: classes[Int(lead & 0x1F) << 6 | continuation(1)], length: 2) }
        if lead < 0xF0 {
            return Sight(kind: classes[Int(lead & 0x0F) << 12 | continuation(1) << 6 | continuation(2)], length: 3)
        }
        let value = Int(lead & 0x07) << 18 | continuation(1) << 12 | continuation(2) << 6 | continuation(3)
        return Sight(kind: classes[value], length: 4)
    }
}
