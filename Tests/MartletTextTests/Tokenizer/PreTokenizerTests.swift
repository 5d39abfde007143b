import Testing

@testable import MartletText

/// MODEL.md 4.1: what the reference's regex engine cuts.
@Suite struct PreTokenizerTests {
    private func pieces(_ text: String, _ preTokenizer: PreTokenizer) -> [String] {
        var text = text
        return text.withUTF8 { text in
            UnicodeClass.table.withUnsafeBufferPointer { classes in
                var scanner = PreTokenizerScanner(text, classes: classes, preTokenizer: preTokenizer)
                var pieces: [String] = []
                while let piece = scanner.next() { pieces.append(String(decoding: text[piece], as: UTF8.self)) }
                return pieces
            }
        }
    }

    @Test(arguments: [
        ("it's I'LL x", ["it", "'s", " I", "'LL", " x"]),
        ("  two  spaces\n\n end ", [" ", " two", " ", " spaces", "\n\n", " end", " "]),
        ("中文123456，标点！\r\n\r\nA", ["中文", "123", "456", "，标点", "！\r\n\r\n", "A"]),
        ("a\u{A0}b\u{3000}c", ["a", "\u{A0}b", "\u{3000}c"]),
        ("x\u{301}y e\u{301}", ["x", "\u{301}y", " e", "\u{301}"]),
        ("३४५६ ½", ["३४५", "६", " ", "½"]),
        ("'sx", ["'s", "x"]),
        ("'\u{17F}x", ["'\u{17F}", "x"]),
        (
            #"do(action="Tap", element=[512,88])"#,
            ["do", "(action", "=\"", "Tap", "\",", " element", "=[", "512", ",", "88", "])"]
        ),
        ("\n \n  x", ["\n \n", " ", " x"]),
        ("   ", ["   "]),
        ("", []),
    ])
    func cutsAsGLM4(_ text: String, _ expected: [String]) {
        #expect(pieces(text, .glm4).map { Array($0.utf8) } == expected.map { Array($0.utf8) })
    }

    @Test(arguments: [
        ("it's I'LL x", ["it", "'s", " I", "'", "LL", " x"]),
        ("a  1234 \n\nb", ["a", " ", " 1234", " \n", "\n", "b"]),
        ("do(x)\n", ["do", "(", "x", ")", "\n"]),
    ])
    func cutsAsGPT2(_ text: String, _ expected: [String]) {
        #expect(pieces(text, .gpt2) == expected)
    }

    @Test func isolatesDigitsForSmolLM() {
        #expect(pieces("a  12½b 3", .smollm) == ["a", "  ", "1", "2", "½", "b", " ", "3"])
        #expect(pieces("\u{11DE0}\u{11DE1}", .smollm) == ["\u{11DE0}", "\u{11DE1}"])
        #expect(pieces("\u{11DE0}\u{11DE1}", .gpt2) == ["\u{11DE0}\u{11DE1}"])
    }

    @Test func cutsSingleDigitsForQwen() { #expect(pieces("a12", .qwen2) == ["a", "1", "2"]) }

    @Test func knowsExpressionsOnlyByTheirExactText() {
        #expect(PreTokenizer(pattern: #"\p{L}+"#) == nil)
        #expect(PreTokenizer(pattern: #"(a+)+$"#) == nil)
        #expect(PreTokenizer(ggufName: "default") == nil)
        #expect(PreTokenizer(ggufName: "chatglm-bpe") == .glm4)
    }

    @Test func classesAreThoseOfTheMaker() {
        let counts = (0...5).map { kind in UnicodeClass.table.count { $0 == kind } }
        #expect(counts.reduce(0, +) == 0x110000)
        #expect(Array(counts[1...]) == [141_028, 1_911, 23, 2, 13])
    }
}
