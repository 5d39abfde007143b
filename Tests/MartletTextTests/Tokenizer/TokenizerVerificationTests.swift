import Foundation
import MartletCore
import Testing

@testable import MartletText

/// The long comparison: 100,000 lines on vocabularies of 60,000 tokens and on SmolLM2's own.
/// `Tools/verify/tokenizer.sh` makes the files, names their folder in `MARTLET_TOKENIZER_FIXTURES` and counts the lines
/// that this prints.
@Suite(.enabled(if: VerificationFolder.path != nil), .serialized) struct TokenizerVerificationTests {
    @Test(arguments: TokenizerFixture.names + ["smollm2", "smollm2.gguf"])
    func encodesAndDecodesAsHuggingFaceDoes(_ name: String) throws {
        let folder = URL(fileURLWithPath: try #require(VerificationFolder.path))
        let isGGUF = name.hasSuffix(".gguf")
        let fixture = try TokenizerFixture(isGGUF ? "smollm2" : name, in: folder)
        let lines = try TokenizerFixture.lines(in: folder)
        let recorded = try TokenizerFixture.json("large.json")
        #expect(lines.count == 100_000)
        #expect(Digest(of: try TokenizerFixture.bytes("lines.jsonl", in: folder)).description
            == recorded["lines.jsonl"]?.string)
        for key in ["ids", "brokenIDs", "text"] {
            #expect(recorded[fixture.name]?[key]?.string == fixture.expected[key]?.string, "\(name): \(key) recorded")
        }

        let tokenizer = isGGUF ? try Tokenizer(vocabulary: try Self.smolLM2(in: folder)) : try fixture.tokenizer()
        let found = try differences(tokenizer, fixture, lines: lines)
        #expect(found == [], "first line: \(firstDifference(tokenizer, fixture, lines: lines) ?? "none")")
        let tokenCount = fixture.expected["tokens"]?.integer ?? 0
        print("tokenizer: \(name) \(found.isEmpty ? "passed" : "FAILED"): \(lines.count) lines, \(tokenCount) tokens")
    }

    /// What the maker copied from the model's own GGUF.
    private static func smolLM2(in folder: URL) throws -> GGUFVocabulary {
        let values = try TokenizerFixture.json("smollm2.gguf.json", in: folder)
        func strings(_ key: String) -> [String] { (values[key]?.array ?? []).compactMap(\.string) }
        func id(_ key: String) -> TokenID? { values[key]?.integer.map { TokenID($0) } }
        return GGUFVocabulary(
            model: try #require(values["model"]?.string), pre: try #require(values["pre"]?.string),
            tokens: strings("tokens"),
            tokenTypes: (values["token_type"]?.array ?? []).compactMap(\.integer).map(Int32.init),
            merges: strings("merges"), bosToken: id("bos_token_id"), eosToken: id("eos_token_id"),
            unknown: id("unknown_token_id"), padding: id("padding_token_id"),
            addsBOS: values["add_bos_token"]?.bool ?? false)
    }

    /// The first line whose ids are not those of NAME.ids.
    private func firstDifference(_ tokenizer: Tokenizer, _ fixture: TokenizerFixture, lines: [String]) -> String? {
        guard let bytes = try? TokenizerFixture.bytes("\(fixture.name).ids", in: fixture.folder) else { return nil }
        let words: [TokenID] = bytes.withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map { TokenID(littleEndian: bytes.load(fromByteOffset: 4 * $0, as: TokenID.self)) }
        }
        var position = 0
        for line in lines {
            let count = Int(words[position])
            let expected = Array(words[position + 1...position + count])
            let ids = tokenizer.encode(line, addSpecialTokens: false)
            if ids != expected { return "\(line.debugDescription): \(ids), not \(expected)" }
            position += count + 1
        }
        return nil
    }
}

/// Where the maker wrote the large files, if this run is to use them.
private enum VerificationFolder {
    static let path = ProcessInfo.processInfo.environment["MARTLET_TOKENIZER_FIXTURES"]
}
