import Foundation
import MartletCore
import Testing

@testable import MartletText

/// What the maker wrote for one tokenizer, and what all of them share. See the fixtures' README.
struct TokenizerFixture {
    /// The checked-in folder.
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/tokenizers")
    static let names = ["glm4", "llama3", "gpt2", "smollm"]

    let name: String
    let folder: URL
    let expected: JSONValue

    init(_ name: String, in folder: URL = folder) throws {
        self.name = name
        self.folder = folder
        expected = try Self.json("\(name).expected.json", in: folder)
    }

    static func bytes(_ file: String, in folder: URL = folder) throws -> [UInt8] {
        Array(try Data(contentsOf: folder.appendingPathComponent(file)))
    }

    static func json(_ file: String, in folder: URL = folder) throws -> JSONValue {
        try JSONParser.parse(try bytes(file, in: folder))
    }

    static func lines(in folder: URL = folder) throws -> [String] {
        try bytes("lines.jsonl", in: folder).split(separator: UInt8(ascii: "\n")).map { line in
            try #require(try JSONParser.parse(line).string)
        }
    }

    /// Byte strings that are mostly not UTF-8.
    static func broken(in folder: URL = folder) throws -> [[UInt8]] {
        let lines = try bytes("broken.hex", in: folder).split(
            separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        return lines.dropLast().map { line in
            let digits = line.map { UInt8(Character(Unicode.Scalar($0)).hexDigitValue ?? 0) }
            return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
        }
    }

    func tokenizer() throws -> Tokenizer {
        let file = "\(name).json"
        return try Tokenizer(
            tokenizerJSON: try Self.bytes(file, in: folder), file: file, configuration: nil)
    }

    /// Digest of id lists: the count and the ids of each, as 32-bit little-endian words.
    static func digest(_ lists: some Sequence<[TokenID]>) -> String {
        var hasher = DigestHasher()
        for ids in lists {
            hasher.update(UInt32(ids.count))
            for id in ids { hasher.update(id) }
        }
        return hasher.finish().description
    }

    /// Digest of texts: the count of bytes and the bytes of each.
    static func digest(texts: some Sequence<String>) -> String {
        var hasher = DigestHasher()
        for text in texts {
            hasher.update(UInt32(text.utf8.count))
            hasher.update(Array(text.utf8))
        }
        return hasher.finish().description
    }

    /// The tokenizer as a GGUF file would carry it.
    func ggufVocabulary() throws -> GGUFVocabulary {
        let root = try Self.json("\(name).json", in: folder)
        let added = try #require(root["added_tokens"]?.array)
        let vocabulary = try #require(root["model"]?["vocab"]?.object)
        var tokens = [String](repeating: "", count: vocabulary.count + added.count)
        var types = [Int32](repeating: 1, count: tokens.count)
        for (token, id) in vocabulary.entries { tokens[try #require(id.integer)] = token }
        for token in added {
            let id = try #require(token["id"]?.integer)
            tokens[id] = try #require(token["content"]?.string)
            types[id] = token["special"]?.bool == true ? 3 : 4
        }
        let merges = try #require(root["model"]?["merges"]?.array).map { merge in
            merge.string ?? (merge.array ?? []).compactMap(\.string).joined(separator: " ")
        }
        let pre = ["glm4": "glm4", "llama3": "llama-bpe", "gpt2": "gpt-2", "smollm": "smollm"]
        return GGUFVocabulary(
            model: "gpt2", pre: try #require(pre[name]), tokens: tokens, tokenTypes: types, merges: merges)
    }
}

/// Every expectation of a fixture, against a tokenizer: what differs.
func differences(_ tokenizer: Tokenizer, _ fixture: TokenizerFixture, lines: [String]) throws -> [String] {
    let expected = fixture.expected
    var differences: [String] = []
    func check(_ name: String, _ isEqual: Bool) { if !isEqual { differences.append("\(fixture.name): \(name)") } }

    let encoded = lines.map { tokenizer.encode($0, addSpecialTokens: false) }
    let blockLines = try #require(expected["blockLines"]?.integer)
    for (index, block) in try #require(expected["blocks"]?.array).enumerated() {
        let range = index * blockLines..<min((index + 1) * blockLines, lines.count)
        check("ids of a line in \(range)", TokenizerFixture.digest(encoded[range]) == block.string)
    }
    check("lines", lines.count == expected["lines"]?.integer)
    check("tokens", encoded.reduce(0) { $0 + $1.count } == expected["tokens"]?.integer)
    check("ids", TokenizerFixture.digest(encoded) == expected["ids"]?.string)
    let texts = encoded.map { tokenizer.decode($0, skipSpecialTokens: false) }
    check("text", TokenizerFixture.digest(texts: texts) == expected["text"]?.string)
    let plain = encoded.map { tokenizer.decode($0, skipSpecialTokens: true) }
    check("text without special", TokenizerFixture.digest(texts: plain) == expected["textWithoutSpecial"]?.string)
    let broken = try TokenizerFixture.broken(in: fixture.folder)
    let repaired = broken.map { tokenizer.encode(utf8: $0, addSpecialTokens: false) }
    check("ids of broken bytes", TokenizerFixture.digest(repaired) == expected["brokenIDs"]?.string)
    return differences
}
