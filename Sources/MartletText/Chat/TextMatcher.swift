/// Finds several byte strings in a text that arrives in pieces (Knuth, Morris, Pratt; one automaton a string): one
/// step a byte whatever the strings, so that a hostile stop string costs no more than a kind one.
struct TextMatcher: Sendable {
    private struct Automaton: Sendable {
        let bytes: [UInt8]
        let border: [Int]
        var matched = 0

        init(_ bytes: [UInt8]) {
            self.bytes = bytes
            border = TextMatcher.borders(of: bytes)
        }

        /// True when the last byte completes the string.
        mutating func step(_ byte: UInt8) -> Bool {
            while matched > 0, byte != bytes[matched] { matched = border[matched - 1] }
            if byte == bytes[matched] { matched += 1 }
            guard matched == bytes.count else { return false }
            matched = border[matched - 1]
            return true
        }
    }

    private var automata: [Automaton]

    /// At `i`, the length of the longest proper prefix of the first `i + 1` bytes that is also their suffix.
    static func borders(of bytes: [UInt8]) -> [Int] {
        var borders = [Int](repeating: 0, count: bytes.count)
        var length = 0
        for index in bytes.indices.dropFirst() {
            while length > 0, bytes[index] != bytes[length] { length = borders[length - 1] }
            if bytes[index] == bytes[length] { length += 1 }
            borders[index] = length
        }
        return borders
    }

    /// Empty strings match nothing.
    init(_ strings: [String]) {
        automata = strings.map { Automaton(Array($0.utf8)) }
    }

    /// The string that ends with `byte`; the longest if several do, the first of equals.
    mutating func step(_ byte: UInt8) -> Int? {
        var found: Int?
        for index in automata.indices where !automata[index].bytes.isEmpty {
            guard automata[index].step(byte) else { continue }
            if found.map({ automata[$0].bytes.count < automata[index].bytes.count }) ?? true { found = index }
        }
        return found
    }

    /// How many of the last bytes may be the beginning of a match.
    var heldCount: Int { automata.reduce(0) { max($0, $1.matched) } }

    func length(of index: Int) -> Int { automata[index].bytes.count }

    /// Forgets the text so far.
    mutating func reset() {
        for index in automata.indices { automata[index].matched = 0 }
    }
}
