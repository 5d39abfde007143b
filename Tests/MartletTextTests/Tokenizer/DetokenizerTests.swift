import MartletCore
import Testing

@testable import MartletText

@Suite struct DetokenizerTests {
    @Test(arguments: TokenizerFixture.names, [false, true])
    func allOutputTogetherIsTheDecodedText(_ name: String, _ skips: Bool) throws {
        let tokenizer = try TokenizerFixture(name).tokenizer()
        for line in try TokenizerFixture.lines().prefix(500) {
            let ids = tokenizer.encode(line, addSpecialTokens: false)
            var detokenizer = Detokenizer(tokenizer: tokenizer, skipSpecialTokens: skips)
            let text = ids.map { detokenizer.append($0) }.joined() + detokenizer.finish()
            #expect(Array(text.utf8) == Array(tokenizer.decode(ids, skipSpecialTokens: skips).utf8))
        }
    }

    @Test func allOutputTogetherIsTheDecodedTextOfAnyTokens() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer()
        var random = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            // Mostly single bytes: broken sequences of every kind.
            let ids = (0..<12).map { _ in
                TokenID.random(in: 0..<TokenID(Bool.random() ? 257 : tokenizer.vocabularyCount), using: &random)
            }
            var detokenizer = Detokenizer(tokenizer: tokenizer, skipSpecialTokens: false)
            let text = ids.map { detokenizer.append($0) }.joined() + detokenizer.finish()
            #expect(Array(text.utf8) == Array(tokenizer.decode(ids, skipSpecialTokens: false).utf8), "\(ids)")
        }
    }

    @Test func holdsBackWhatMayYetBecomeAScalar() throws {
        let tokenizer = try bytewise()
        var detokenizer = Detokenizer(tokenizer: tokenizer, skipSpecialTokens: true)
        func feed(_ bytes: UInt8...) -> [String] { bytes.map { detokenizer.append(TokenID($0)) } }
        #expect(feed(0xF0, 0x9F, 0x98, 0x80) == ["", "", "", "😀"])
        #expect(feed(0xE4, 0xB8, 0x41) == ["", "", "\u{FFFD}A"])
        #expect(feed(0xF0, 0x9F, 0xF0, 0x9F) == ["", "", "\u{FFFD}", ""])
        #expect(detokenizer.finish() == "\u{FFFD}")
        #expect(feed(0xED, 0xA0) == ["", "\u{FFFD}\u{FFFD}"])
        #expect(feed(0xC0, 0xFF) == ["\u{FFFD}", "\u{FFFD}"])
        #expect(detokenizer.append(999) == "")
        #expect(detokenizer.finish() == "")
    }

    /// Every byte is the token of its value; goldens by CPython 3.11's bytes.decode("utf-8", "replace").
    @Test(arguments: [
        ([0x61, 0xF1, 0x80, 0x80, 0xE1, 0x80, 0xC2, 0x62, 0x80, 0x63, 0x80, 0xBF, 0x64], "a???b?c??d"),
        ([0xE0, 0x80, 0x80], "???"), ([0xF4, 0x90, 0x80, 0x80], "????"), ([0xF0, 0x90, 0x80], "?"),
        ([0xED, 0xBF, 0xBF], "???"), ([0xF5, 0x80], "??"), ([0xE2, 0x82], "?"), ([0xC2], "?"),
    ] as [([UInt8], String)])
    func repairsAsPythonDoes(_ bytes: [UInt8], _ expected: String) throws {
        let text = try bytewise().decode(bytes.map { TokenID($0) }, skipSpecialTokens: false)
        #expect(text == expected.replacing("?", with: "\u{FFFD}"))
    }

    private func bytewise() throws -> Tokenizer {
        try Tokenizer(
            vocabulary: GGUFVocabulary(
                model: "gpt2", pre: "gpt-2", tokens: ByteAlphabet.scalars.map { String(Character($0)) },
                tokenTypes: [], merges: []))
    }
}
