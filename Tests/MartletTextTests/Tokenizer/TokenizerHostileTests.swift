import MartletCore
import Testing

@testable import MartletText

/// Time is linear up to a logarithm, whatever the text: counted in steps, not seconds.
@Suite struct TokenizerHostileTests {
    /// Tokens of 2, 4, 8 and 16 of each unit, so that long runs merge as far as they can.
    private func tokenizer(_ pre: String, merging units: [String]) throws -> Tokenizer {
        var tokens = ByteAlphabet.scalars.map { String(Character($0)) }
        var known = Set(tokens)
        var merges: [String] = []
        func merge(_ left: String, _ right: String) {
            guard known.insert(left + right).inserted else { return }
            tokens.append(left + right)
            merges.append("\(left) \(right)")
        }
        for unit in units {
            let bytes = unit.utf8.map { ByteAlphabet.spelling(of: [$0]) }
            var whole = bytes[0]
            for byte in bytes.dropFirst() {
                merge(whole, byte)
                whole += byte
            }
            for _ in 0..<4 {
                merge(whole, whole)
                whole += whole
            }
        }
        let types = [Int32](repeating: 1, count: tokens.count) + [3]
        return try Tokenizer(
            vocabulary: GGUFVocabulary(
                model: "gpt2", pre: pre, tokens: tokens + ["<|user|>"], tokenTypes: types, merges: merges))
    }

    @Test(arguments: ["glm4", "chatglm-bpe", "gpt-2", "smollm"])
    func workIsLinearithmic(_ pre: String) throws {
        let units = [
            "a", " ", "😀", "\u{301}", "9", "\n", "' ", "\n ", "<|user", "a\u{301}", "<|user|>",
            String(Character(Tokenizer.guardScalar)),
        ]
        let tokenizer = try tokenizer(pre, merging: ["a", " ", "😀", "\u{301}", "9", "\n"])
        for unit in units + ["ab cd"] {
            let count = 1 << 12
            let once = tokenizer.encodeCountingOperations(
                String(repeating: unit, count: count), addSpecialTokens: false)
            let twice = tokenizer.encodeCountingOperations(
                String(repeating: unit, count: 2 * count), addSpecialTokens: false)
            let ratio = Double(twice.operations) / Double(once.operations)
            #expect(ratio <= 2.4, "\(pre), \(unit.debugDescription): \(once.operations) -> \(twice.operations)")
            #expect(once.operations <= 80 * count * unit.utf8.count)
        }
    }

    @Test func longRunsMergeAsFarAsTheyCan() throws {
        let tokenizer = try tokenizer("gpt-2", merging: ["a"])
        let ids = tokenizer.encode(String(repeating: "a", count: 1 << 12), addSpecialTokens: false)
        #expect(ids.count == (1 << 12) / 16)
        #expect(Set(ids).count == 1)
    }

    /// The search of short pieces and the heap of long ones are one rule.
    @Test func searchAndHeapAgree() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer()
        let definition = tokenizer.definition
        var merger = BytePairMerger(
            vocabulary: definition.vocabulary, merges: definition.merges, unknown: nil, ignoresMerges: false)
        for line in try TokenizerFixture.lines().prefix(400) where !line.isEmpty {
            var line = line
            line.withUTF8 { bytes in
                var (searched, heaped): ([TokenID], [TokenID]) = ([], [])
                merger.append(bytes, to: &searched, searchedCount: .max)
                merger.append(bytes, to: &heaped, searchedCount: 1)
                #expect(searched == heaped)
            }
        }
    }
}
