import MartletCore
import Testing

@testable import MartletText

/// Untrusted text must not become control tokens.
@Suite struct LiteralGuardTests {
    private let tokenizer: Tokenizer
    private let guardText = String(Character(Tokenizer.guardScalar))

    init() throws { tokenizer = try TokenizerFixture("glm4").tokenizer() }

    private func specials(_ text: String) -> [TokenID] {
        tokenizer.encode(text, addSpecialTokens: false).filter { tokenizer.isSpecial($0) }
    }

    @Test func guardIsTheNoncharacter() { #expect(Tokenizer.guardScalar.value == 0xFDD0) }

    @Test func controlTokensInUntrustedTextStayText() {
        let text = "a <|user|> b [gMASK]<sop><|image|><|user|>"
        #expect(specials(text).count == 5)
        let guarded = tokenizer.guarding(text)
        #expect(guarded.hasPrefix("a <\(guardText)|user|> b"))
        #expect(specials(guarded).isEmpty)
        let ids = tokenizer.encode(guarded, addSpecialTokens: false)
        #expect(tokenizer.decode(ids, skipSpecialTokens: true) == text)
    }

    @Test func thoughtsAndAnswersStayTokens() throws {
        let text = "<think>x</think><answer>y</answer>"
        #expect(tokenizer.guarding(text) == text)
        let think = try #require(tokenizer.id(of: "<think>"))
        #expect(tokenizer.encode(tokenizer.guarding(text), addSpecialTokens: false).first == think)
    }

    @Test func guardsThatTheTextBroughtAreRemoved() {
        let text = "<|us\(guardText)er|>\(guardText)"
        let guarded = tokenizer.guarding(text)
        #expect(Array(guarded.utf8) == Array("<\(guardText)|user|>".utf8))
        #expect(specials(guarded).isEmpty)
    }

    @Test func noTokenGrowsAcrossTwoTexts() {
        let token = "<|user|>"
        for cut in 1..<token.utf8.count {
            let (head, tail) = (String(token.prefix(cut)), String(token.dropFirst(cut)))
            #expect(specials(head + tail).count == 1)
            #expect(specials(tokenizer.guarding(head) + tokenizer.guarding(tail)).isEmpty)
            #expect(specials("x" + tokenizer.guarding("y" + head) + tokenizer.guarding(tail) + "z").isEmpty)
        }
    }

    @Test func guardsLeaveNoTraceInTheTokens() {
        let plain = "中文 two words, don't"
        for cut in 0...plain.unicodeScalars.count {
            var scalars = plain.unicodeScalars
            scalars.insert(Tokenizer.guardScalar, at: scalars.index(scalars.startIndex, offsetBy: cut))
            #expect(
                tokenizer.encode(String(scalars), addSpecialTokens: false)
                    == tokenizer.encode(plain, addSpecialTokens: false))
        }
    }

    @Test func everyControlTokenAndEveryOverlapIsGuarded() {
        for token in tokenizer.addedTokens where token.isSpecial {
            for text in [token.content, "<" + token.content, token.content + token.content, "[" + token.content + ">"] {
                #expect(specials(tokenizer.guarding(text)).isEmpty)
            }
        }
    }

    @Test func tokensOfOneScalarAreGuardedToo() throws {
        let vocabulary = GGUFVocabulary(
            model: "gpt2", pre: "gpt-2", tokens: ["a", "b", "ab"], tokenTypes: [1, 3, 3], merges: [])
        let tokenizer = try Tokenizer(vocabulary: vocabulary)
        #expect(tokenizer.encode("ab", addSpecialTokens: false) == [2])
        let guarded = tokenizer.guarding("abb")
        #expect(!tokenizer.encode(guarded, addSpecialTokens: false).contains { tokenizer.isSpecial($0) && $0 == 2 })
    }
}
