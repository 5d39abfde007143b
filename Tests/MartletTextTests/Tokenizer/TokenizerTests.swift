import MartletCore
import Testing

@testable import MartletText

/// Against Hugging Face's `tokenizers`, by the checked-in fixtures.
@Suite struct TokenizerTests {
    @Test(arguments: TokenizerFixture.names)
    func encodesAndDecodesAsHuggingFaceDoes(_ name: String) throws {
        let fixture = try TokenizerFixture(name)
        let tokenizer = try fixture.tokenizer()
        let lines = try TokenizerFixture.lines()
        #expect(lines.count == 2000)
        #expect(try differences(tokenizer, fixture, lines: lines) == [])
        #expect(tokenizer.vocabularyCount == fixture.expected["vocabulary"]?.integer)
        let withSpecial = fixture.expected["withSpecial"]?.array?.compactMap(\.integer).map(TokenID.init)
        #expect(tokenizer.encode("it's 中文", addSpecialTokens: true) == withSpecial)
    }

    @Test(arguments: TokenizerFixture.names)
    func theSameVocabularyFromGGUFIsTheSameTokenizer(_ name: String) throws {
        let fixture = try TokenizerFixture(name)
        let tokenizer = try fixture.tokenizer()
        // GGUF cannot say lstrip, rstrip or normalized, so the lines with those tokens are left out.
        let marks = ["<mask>", "<pad>", "<think"]
        let lines = try TokenizerFixture.lines().filter { line in !marks.contains { line.contains($0) } }
        let other = try Tokenizer(vocabulary: try fixture.ggufVocabulary())
        #expect(other.vocabularyCount == tokenizer.vocabularyCount)
        for line in lines {
            #expect(other.encode(line, addSpecialTokens: true) == tokenizer.encode(line, addSpecialTokens: false))
        }
    }

    @Test(arguments: TokenizerFixture.names)
    func everyLineComesBack(_ name: String) throws {
        // Strip flags swallow white space: those of the gpt2 fixture are the exception.
        let tokenizer = try TokenizerFixture(name).tokenizer()
        for line in try TokenizerFixture.lines() where !line.contains("<mask>") && !line.contains("<pad>") {
            let ids = tokenizer.encode(line, addSpecialTokens: false)
            #expect(Array(tokenizer.decode(ids, skipSpecialTokens: false).utf8) == Array(line.utf8))
        }
    }

    @Test func knowsItsTokensByTextAndId() throws {
        let tokenizer = try TokenizerFixture("glm4").tokenizer()
        let user = try #require(tokenizer.id(of: "<|user|>"))
        let think = try #require(tokenizer.id(of: "<think>"))
        #expect(tokenizer.isSpecial(user))
        #expect(!tokenizer.isSpecial(think))
        #expect(tokenizer.token(user) == "<|user|>")
        #expect(tokenizer.bytes(of: user) == Array("<|user|>".utf8))
        #expect(tokenizer.addedTokens.count == 22)
        let the = try #require(tokenizer.id(of: "Ġthe"))
        #expect(tokenizer.bytes(of: the) == Array(" the".utf8))
        #expect(tokenizer.token(the) == "Ġthe")
        #expect(tokenizer.decode([the, think, user], skipSpecialTokens: true) == " the<think>")
        for unknown in [-1, TokenID.min, TokenID.max, TokenID(tokenizer.vocabularyCount)] {
            #expect(tokenizer.bytes(of: unknown).isEmpty)
            #expect(tokenizer.token(unknown) == nil)
            #expect(!tokenizer.isSpecial(unknown))
        }
        #expect(tokenizer.id(of: "no such token") == nil)
        #expect(tokenizer.id(of: "") == nil)
        for id in 0..<TokenID(tokenizer.vocabularyCount) {
            #expect(tokenizer.token(id).flatMap { tokenizer.id(of: $0) } == id)
        }
    }

    @Test func ignoresMergesForWholePieces() throws {
        let merges = ["a b", "b c"]
        let tokens = ["a", "b", "c", "ab", "bc", "abc"]
        func tokenizer(_ pre: String) throws -> Tokenizer {
            try Tokenizer(
                vocabulary: GGUFVocabulary(model: "gpt2", pre: pre, tokens: tokens, tokenTypes: [], merges: merges))
        }
        #expect(try tokenizer("glm4").encode("abc", addSpecialTokens: false) == [5])
        #expect(try tokenizer("chatglm-bpe").encode("abc", addSpecialTokens: false) == [3, 2])
    }

    @Test func ggufPutsTheBOSFirstAndDropsBytesWithoutAToken() throws {
        let vocabulary = GGUFVocabulary(
            model: "gpt2", pre: "llama-bpe", tokens: ["<s>", "a", "b", "[PAD]", "[PAD]"],
            tokenTypes: [3, 1, 1, 5, 5], merges: [], bosToken: 0, eosToken: 0, unknown: 0, addsBOS: true)
        let tokenizer = try Tokenizer(vocabulary: vocabulary)
        #expect(tokenizer.encode("a<s>xb", addSpecialTokens: true) == [0, 1, 0, 2])
        #expect(tokenizer.encode("a", addSpecialTokens: false) == [1])
        #expect(tokenizer.vocabularyCount == 5)
        #expect(tokenizer.token(3) == nil)
        #expect(tokenizer.bosToken == 0 && tokenizer.eosToken == 0 && tokenizer.endOfTurnToken == nil)
    }

    @Test func addedTokensThatAreNotNormalisedGoFirstAndLongerOnesBeforeShorter() throws {
        let gguf = GGUFVocabulary(model: "gpt2", pre: "gpt-2", tokens: ["x", "y"], tokenTypes: [], merges: [])
        let plain = try Tokenizer(vocabulary: gguf).definition
        let added = [
            AddedToken(content: "<s>x", id: 2, isSpecial: false, isNormalized: true),
            AddedToken(content: "<s>", id: 3, isSpecial: true),
            AddedToken(content: "<s>y", id: 4, isSpecial: true),
        ]
        let tokenizer = Tokenizer(
            definition: TokenizerDefinition(
                vocabulary: plain.vocabulary, merges: plain.merges, preTokenizer: .gpt2, ignoresMerges: false,
                unknown: nil, prefix: [], suffix: [], addedTokens: added, names: SpecialTokenNames()))
        #expect(tokenizer.encode("<s>xy<s>y", addSpecialTokens: false) == [3, 0, 1, 4])
    }
}
