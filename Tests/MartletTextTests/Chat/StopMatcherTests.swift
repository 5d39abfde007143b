import Testing

@testable import MartletText

@Suite struct StopMatcherTests {
    private static func run(_ pieces: [String], _ stops: [String], includes: Bool = false) -> (String, String?) {
        var matcher = StopMatcher(stops: stops, includesStop: includes)
        var text = ""
        for piece in pieces { text += matcher.append(piece) }
        return (text + matcher.finish(), matcher.found)
    }

    @Test(arguments: [
        ("hello STOP world", ["STOP"], "hello ", "STOP"),
        ("hello", ["STOP"], "hello", nil),
        ("hello STO", ["STOP"], "hello STO", nil),
        ("STOP", ["STOP"], "", "STOP"),
        ("a", [], "a", nil),
        ("a", [""], "a", nil),
        // The first to be complete wins, not the first in the list.
        ("xx ab cd", ["cd", "ab"], "xx ", "ab"),
        // Complete at the same byte: the longest.
        ("say the end", ["end", "the end"], "say ", "the end"),
        // A prefix that failed may hold the beginning of a match.
        ("aaab", ["aab"], "a", "aab"),
        ("ababac", ["abac"], "ab", "abac"),
        ("日本語です。終", ["。終"], "日本語です", "。終"),
        ("é e\u{301}", ["e\u{301}"], "é ", "e\u{301}"),
        ("line\r\nnext", ["\n"], "line\r", "\n"),
    ] as [(String, [String], String, String?)])
    func endsAtTheStop(text: String, stops: [String], expected: String, found: String?) {
        let scalars = text.unicodeScalars.map { String($0) }
        for pieces in [[text], scalars] {
            let (result, stop) = Self.run(pieces, stops)
            #expect(result.utf8.elementsEqual(expected.utf8))
            #expect(stop == found)
        }
    }

    @Test func theStopIsKeptWhenAsked() {
        #expect(Self.run(["ab", "c STO", "P x"], ["STOP"], includes: true) == ("abc STOP", "STOP"))
    }

    /// No more is held back than may begin a stop string.
    @Test func holdsBackOnlyPrefixes() {
        var matcher = StopMatcher(stops: ["</answer>", "\n\n"])
        #expect(matcher.append("do(x) <") == "do(x) ")
        #expect(matcher.append("/ans") == "")
        #expect(matcher.append("w") == "")
        #expect(matcher.append("x\n") == "</answx")
        #expect(matcher.append("y") == "\ny")
        #expect(matcher.finish() == "")
    }

    @Test func anythingAfterTheStopIsDropped() {
        var matcher = StopMatcher(stops: ["X"])
        #expect(matcher.append("aXb") == "a")
        #expect(matcher.append("c") == "")
        #expect(matcher.finish() == "")
    }

    /// Hostile stops: each byte costs the same.
    @Test func longStopsAreLinear() {
        let stop = String(repeating: "a", count: 20_000) + "b"
        var matcher = StopMatcher(stops: [stop])
        var text = ""
        for _ in 0..<200 { text += matcher.append(String(repeating: "a", count: 500)) }
        #expect(matcher.append("b") == "")
        #expect(matcher.found == stop)
        #expect(text.utf8.count == 80_000)
    }

    @Test func cutsDoNotMatter() {
        var random = SeededGenerator(state: 1)
        for _ in 0..<500 {
            let alphabet = ["a", "b", "ab", "é"]
            func word(_ count: Int) -> String {
                (0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] }.joined()
            }
            let text = word(Int.random(in: 0...24, using: &random))
            let stopCount = Int.random(in: 0...3, using: &random)
            let stops = (0..<stopCount).map { _ in word(Int.random(in: 1...4, using: &random)) }
            let whole = Self.run([text], stops)
            let cut = Self.run(text.pieces(using: &random), stops)
            #expect(whole == cut, "\(text) \(stops)")
        }
    }
}

extension String {
    /// The text in random pieces, cut between scalars; some are empty.
    func pieces(using random: inout SeededGenerator) -> [String] {
        var pieces: [String] = [""]
        for scalar in unicodeScalars {
            if Int.random(in: 0..<3, using: &random) == 0 { pieces.append("") }
            pieces[pieces.count - 1].unicodeScalars.append(scalar)
        }
        return pieces
    }
}
