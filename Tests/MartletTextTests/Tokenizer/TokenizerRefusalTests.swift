import MartletCore
import Testing

@testable import MartletText

/// Files that lie or ask for what we do not build: a typed error that names the field, never a trap.
@Suite struct TokenizerRefusalTests {
    /// A small, whole tokenizer.json, with `changes` made to it.
    private func file(_ changes: [(old: String, new: String)] = []) -> String {
        var text = #"""
            {"version": "1.0", "truncation": null, "padding": null,
             "added_tokens": [{"id": 4, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                               "normalized": false, "special": true}],
             "normalizer": null,
             "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
             "post_processor": {"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [4], "tokens": ["<s>"]}}},
             "decoder": {"type": "ByteLevel"},
             "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": {"a": 0, "b": 1, "ab": 2, "c": 3}, "merges": ["a b"]}}
            """#
        for (old, new) in changes {
            precondition(text.contains(old), "\(old) is not in the file")
            text = text.replacing(old, with: new)
        }
        return text
    }

    private func load(_ text: String) throws(TokenizerError) -> Tokenizer {
        try Tokenizer(tokenizerJSON: Array(text.utf8), file: "tokenizer.json", configuration: nil)
    }

    @Test func theUnchangedFileLoads() throws {
        let tokenizer = try load(file())
        #expect(tokenizer.encode("abc<s>", addSpecialTokens: true) == [4, 2, 3, 4])
    }

    @Test(arguments: [
        (#""normalizer": null"#, #""normalizer": {"type": "NFC"}"#, "normalizer"),
        (#""decoder": {"type": "ByteLevel"}"#, #""decoder": {"type": "WordPiece"}"#, "decoder"),
        (#""decoder": {"type": "ByteLevel"}"#, #""decoder": 7"#, "decoder"),
        (#""decoder": {"type": "ByteLevel"}"#, #""decoder": null"#, "decoder"),
        (#""type": "BPE""#, #""type": "Unigram""#, "model.type"),
        (#""byte_fallback": false"#, #""byte_fallback": true"#, "model.byte_fallback"),
        (#""fuse_unk": false"#, #""fuse_unk": true"#, "model.fuse_unk"),
        (#""ignore_merges": false"#, #""ignore_merges": 1"#, "model.ignore_merges"),
        (#""dropout": null"#, #""dropout": 0.1"#, "model.dropout"),
        (#""unk_token": null"#, #""unk_token": "zz""#, "model.unk_token"),
        (#""end_of_word_suffix": null"#, #""end_of_word_suffix": "</w>""#, "model.end_of_word_suffix"),
        (#""c": 3"#, #""c": 2"#, "model.vocab"),
        (#""c": 3"#, #""c": -1"#, "model.vocab"),
        (#""c": 3"#, #""c": 4194304"#, "model.vocab"),
        (#""c": 3"#, #""c": 9223372036854775807"#, "model.vocab"),
        (#""c": 3"#, #""c": 3.5"#, "model.vocab"),
        (#""c": 3"#, #""c": "3""#, "model.vocab"),
        (#""c": 3"#, #""c": 5"#, "model.vocab"),
        (#", "c": 3"#, "", "model.vocab"),
        (#""c": 3"#, #""": 3"#, "model.vocab"),
        (#""c": 3"#, #""c": 3, "c": 5"#, ""),
        (#"{"a": 0, "b": 1, "ab": 2, "c": 3}"#, "[]", "model.vocab"),
        (#"["a b"]"#, #"["a c"]"#, "model.merges"),
        (#"["a b"]"#, #"["a x"]"#, "model.merges"),
        (#"["a b"]"#, #"["ab"]"#, "model.merges"),
        (#"["a b"]"#, #"["a b c"]"#, "model.merges"),
        (#"["a b"]"#, #"["a "]"#, "model.merges"),
        (#"["a b"]"#, #"[["a"]]"#, "model.merges"),
        (#"["a b"]"#, "[7]", "model.merges"),
        (#"["a b"]"#, "7", "model.merges"),
        (#"{"id": 4,"#, #"{"id": 1,"#, "added_tokens"),
        (#"{"id": 4,"#, #"{"id": 9,"#, "model.vocab"),
        (#"{"id": 4,"#, #"{"id": -4,"#, "added_tokens[0].id"),
        (#"{"id": 4,"#, #"{"id": 4194304,"#, "added_tokens[0].id"),
        (#"{"id": 4,"#, #"{"#, "added_tokens[0].id"),
        (#""content": "<s>""#, #""content": """#, "added_tokens[0].content"),
        (#""content": "<s>""#, #""content": "ab""#, "added_tokens"),
        (#""content": "<s>""#, #""content": "<\uFDD0s>""#, "added_tokens[0].content"),
        (#""single_word": false"#, #""single_word": true"#, "added_tokens[0].single_word"),
        (#""lstrip": false"#, #""lstrip": "no""#, "added_tokens[0].lstrip"),
        (#""add_prefix_space": false"#, #""add_prefix_space": true"#, "pre_tokenizer.add_prefix_space"),
        (#"{"type": "ByteLevel", "add"#, #"{"type": "Metaspace", "add"#, "pre_tokenizer"),
        (#""use_regex": true}"#, #""use_regex": false}"#, "pre_tokenizer"),
        (#""type": "TemplateProcessing""#, #""type": "RobertaProcessing""#, "post_processor"),
        (#""ids": [4]"#, #""ids": [5]"#, "post_processor.special_tokens"),
        (#""Sequence": {"id": "A""#, #""Sequence": {"id": "B""#, "post_processor.single"),
        (#"{"Sequence": {"id": "A", "type_id": 0}}"#, #"{"Other": 1}"#, "post_processor.single"),
    ])
    func refusesByField(_ old: String, _ new: String, _ field: String) {
        let error = #expect(throws: TokenizerError.self) { try load(file([(old, new)])) }
        #expect(error?.field == field, "\(String(describing: error))")
        #expect(error?.file == "tokenizer.json")
    }

    @Test(arguments: ["", "[]", "7", "{", "{}", #"{"model": {}}"#, "\u{FEFF}{}"])
    func refusesWhatIsNoTokenizer(_ text: String) {
        #expect(throws: TokenizerError.self) { try load(text) }
    }

    @Test(arguments: [
        #"{"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": false}"#,
        #"{"type": "Split", "pattern": {"String": " "}, "behavior": "Isolated", "invert": false}"#,
        #"{"type": "Split", "pattern": {"Regex": "\\s"}, "behavior": "Removed", "invert": false}"#,
        #"{"type": "Digits", "individual_digits": false}"#, #"{"type": "Whitespace"}"#, "null",
    ])
    func refusesUnknownSteps(_ step: String) {
        let byteLevel = #"{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}"#
        let sequence = #"{"type": "Sequence", "pretokenizers": [\#(step), \#(byteLevel)]}"#
        for text in [sequence, sequence.replacing(#""use_regex": true"#, with: #""use_regex": false"#)] {
            let error = #expect(throws: TokenizerError.self) { try load(file([(byteLevel, text)])) }
            #expect(error?.field.hasPrefix("pre_tokenizer") == true)
        }
    }

    @Test(arguments: [
        (70_000, 1, "more than 65536"), (9_000, 500, "more than 4194304 bytes"), (1, 600, "not of 1 to 512 bytes"),
    ])
    func refusesTooManyAddedTokens(_ count: Int, _ length: Int, _ reason: String) {
        let filler = String(repeating: "x", count: length)
        let tokens = (0..<count).map { #"{"id": \#($0 + 4), "content": "<\#($0)\#(filler)>", "special": true}"# }
        let old = file().split(separator: #""added_tokens": "#)[1].prefix { $0 != "]" } + "]"
        let error = #expect(throws: TokenizerError.self) {
            try load(file([(String(old), "[" + tokens.joined(separator: ",") + "]")]))
        }
        #expect(error?.reason == reason)
    }

    @Test func addsTheTokensThatOnlyTheConfigurationHas() throws {
        let configuration = try JSONParser.parse(
            #"""
            {"added_tokens_decoder": {"4": {"content": "<s>", "special": true}, "5": {"content": "<x>"}},
             "bos_token": "<s>", "eos_token": {"content": "<x>"}, "pad_token": null}
            """#)
        let tokenizer = try Tokenizer(
            tokenizerJSON: Array(file().utf8), file: "tokenizer.json", configuration: configuration)
        #expect(tokenizer.encode("<x>a", addSpecialTokens: false) == [5, 0])
        #expect(tokenizer.bosToken == 4 && tokenizer.eosToken == 5 && tokenizer.paddingToken == nil)
        #expect(!tokenizer.isSpecial(5))
    }

    /// Bytes flipped, cut out, doubled: an error or a tokenizer that works, never a trap.
    @Test func survivesMutations() {
        let original = Array(file().utf8)
        var state: UInt64 = 1
        func next(_ count: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % count
        }
        for _ in 0..<2000 {
            var bytes = original
            for _ in 0...next(4) {
                let at = next(bytes.count)
                switch next(4) {
                case 0: bytes[at] = UInt8(next(256))
                case 1: bytes.removeSubrange(at..<min(bytes.count, at + 1 + next(6)))
                case 2: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 20)], at: next(bytes.count))
                default: bytes[at] = Array("0123456789{}[],:\"".utf8)[next(17)]
                }
            }
            if let tokenizer = try? Tokenizer(tokenizerJSON: bytes, file: "mutated", configuration: nil) {
                _ = tokenizer.encode("abc <s>ab 12\n", addSpecialTokens: true)
            }
        }
    }

    static let lies: [(key: String, change: @Sendable (inout GGUFVocabulary) -> Void)] = [
        ("model", { $0.model = "llama" }),
        ("pre", { $0.pre = "unheard-of" }),
        ("tokens", { $0.tokens = [] }),
        ("token_type", { $0.tokenTypes = [1] }),
        ("eos_token_id", { $0.eosToken = 99 }),
        ("bos_token_id", { $0.bosToken = -1 }),
        ("unknown_token_id", { $0.unknown = 3 }),
        ("add_bos_token", { $0.addsBOS = true }),
        ("merges", { $0.merges = ["a c"] }),
        ("merges", { $0.merges = ["b a"] }),
        ("tokens", { $0.tokens = ["a", "b", "a"] }),
    ]

    @Test(arguments: lies.indices)
    func refusesGGUFValuesByKey(_ index: Int) {
        let (key, change) = Self.lies[index]
        var vocabulary = GGUFVocabulary(
            model: "gpt2", pre: "gpt-2", tokens: ["a", "b", "ab"], tokenTypes: [], merges: ["a b"])
        change(&vocabulary)
        let error = #expect(throws: TokenizerError.self) { try Tokenizer(vocabulary: vocabulary) }
        #expect(error?.field == "tokenizer.ggml.\(key)")
    }
}
