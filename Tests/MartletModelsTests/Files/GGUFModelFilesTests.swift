import Foundation
import MartletCore
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletModels

/// A GLM checkpoint written as GGUF must come back as the checkpoint it was.
@Suite struct GGUFModelFilesTests {
    private let directory: TemporaryDirectory
    private let model: TinyModel

    init() throws {
        directory = try TemporaryDirectory()
        model = try TinyModel()
    }

    static let textMetadata: [(String, GGUFWriter.Value)] = {
        var tokens = (0..<320).map { GGUFWriter.Value.string("t\($0)") }
        for (id, text) in [
            (289, "<|endoftext|>"), (296, "<|user|>"), (298, "<|observation|>"), (303, "<|image|>"), (308, "</answer>"),
        ] {
            tokens[id] = .string(text)
        }
        return [
            ("glm4.block_count", .uint32(2)), ("glm4.context_length", .uint32(4096)),
            ("glm4.embedding_length", .uint32(128)), ("glm4.feed_forward_length", .uint32(192)),
            ("glm4.attention.layer_norm_rms_epsilon", .float(1e-5)), ("glm4.rope.freq_base", .float(10000)),
            ("tokenizer.ggml.model", .string("gpt2")), ("tokenizer.ggml.pre", .string("glm4")),
            ("tokenizer.ggml.tokens", .array(tokens)),
            ("tokenizer.ggml.token_type", .array((0..<320).map { _ in .int32(1) })),
            ("tokenizer.ggml.merges", .array([.string("a b")])), ("tokenizer.ggml.eos_token_id", .uint32(289)),
            ("tokenizer.ggml.eot_token_id", .uint32(296)), ("tokenizer.ggml.bos_token_id", .uint32(289)),
            ("tokenizer.ggml.add_bos_token", .bool(false)), ("tokenizer.chat_template", .string("{{ x }}")),
        ]
    }()

    static let visionMetadata: [(String, GGUFWriter.Value)] = [
        ("clip.has_vision_encoder", .bool(true)), ("clip.vision.projection_dim", .uint32(128)),
        ("clip.vision.image_size", .uint32(56)), ("clip.vision.patch_size", .uint32(14)),
        ("clip.vision.block_count", .uint32(2)), ("clip.vision.attention.head_count", .uint32(2)),
        ("clip.vision.attention.layer_norm_epsilon", .float(1e-5)),
        ("clip.vision.image_mean", .array([.float(0.5), .float(0.25), .float(0.125)])),
    ]

    private func conversion(rotaryDimension: Int = 16) -> GGUFConversion {
        GGUFConversion(
            source: model.source, tensors: model.configuration.tensors, queryHeads: 4, keyValueHeads: 2,
            rotaryDimension: rotaryDimension, sections: [2, 3, 3])
    }

    private func write(_ writer: GGUFWriter, _ name: String) throws { try directory.write(writer.file, to: name) }

    private func writePair() throws {
        try write(conversion().text(Self.textMetadata), "tiny-F32.gguf")
        try write(conversion().vision(Self.visionMetadata), "anything.gguf")
    }

    private func open(_ name: String = "tiny-F32.gguf") throws -> ModelFiles {
        try ModelFiles.open(name.isEmpty ? directory.path : directory.path + "/" + name, environment: [:])
    }

    private func values(_ source: any WeightSource, _ info: TensorInfo, _ rows: Range<Int>) throws -> [Float] {
        let dtype = try #require(source.info(info.name)).dtype
        return try source.withRows(info.name, rows) { QuantizedBlocks.dequantize($0, dtype: dtype) }
    }

    @Test(arguments: ["tiny-F32.gguf", ""]) func thePairIsTheCheckpointItWas(name: String) throws {
        try writePair()
        let files = try open(name)
        var expected = model.configuration
        expected.endTokens = files.configuration.endTokens
        #expect(files.configuration == expected)
        #expect(Set(files.configuration.endTokens) == [289, 296, 298, 308])
        for info in model.configuration.tensors {
            #expect(files.weights.info(info.name)?.shape == info.shape, "\(info.name)")
            #expect(
                try values(files.weights, info, 0..<info.rows) == values(model.source, info, 0..<info.rows),
                "\(info.name)")
            // A piece, as a rank reads it.
            let piece = info.rows / 3..<info.rows / 2
            #expect(try values(files.weights, info, piece) == values(model.source, info, piece), "\(info.name)")
        }
        #expect(files.chatTemplate == "{{ x }}" && files.name == "tiny-F32")
        #expect(files.processorConfig?["image_mean"]?.array?.map(\.number) == [0.5, 0.25, 0.125])
        #expect(files.processorConfig?["image_std"]?.array?.first?.number == 0.26862954)
        #expect(files.processorConfig?["size"]?["longest_edge"]?.integer == 9_633_792)
        guard case .gguf(let tokenizer) = files.tokenizer else {
            Issue.record("no tokenizer")
            return
        }
        #expect(tokenizer.tokens.count == 320 && tokenizer.merges == ["a b"] && tokenizer.pre == "glm4")
        #expect(tokenizer.eotToken == 296 && !tokenizer.addsBOS && tokenizer.unknown == nil)
    }

    @Test func withoutSectionsRowsAreAsTheyWere() throws {
        try write(conversion(rotaryDimension: 0).text(Self.textMetadata), "tiny-F32.gguf")
        let files = try open()
        #expect(files.configuration.architecture == .glm4 && files.configuration.vision == nil)
        #expect(files.configuration.decoder.rotary.dimensions == 16 && files.processorConfig == nil)
        for info in files.configuration.tensors {
            #expect(
                try values(files.weights, info, 0..<info.rows) == values(model.source, info, 0..<info.rows),
                "\(info.name)")
        }
    }

    /// Quantised rows move as they are: what row r of the model is has the bytes of the file's row.
    @Test func quantisedRowsAreReordered() throws {
        var conversion = conversion()
        conversion.encode = { name, values, columns in
            guard name.contains("attn_q") else { return (.f32, GGUFConversion.bytes(values)) }
            let blocks = stride(from: 0, to: values.count, by: 32).map { start -> [UInt8] in
                // d = 1, and eight low bits of each value: different for each row.
                [0x00, 0x3C] + values[start..<start + 32].map { UInt8(truncatingIfNeeded: $0.bitPattern >> 8) }
            }
            return (.q8_0, blocks.flatMap { $0 })
        }
        try write(conversion.text(Self.textMetadata), "tiny-Q8_0.gguf")
        let files = try open("tiny-Q8_0.gguf")
        let info = TensorInfo(
            name: "model.language_model.layers.1.self_attn.q_proj.weight", dtype: .f32, shape: [128, 128])
        #expect(files.weights.info(info.name)?.dtype == .q8_0)
        let read = try values(files.weights, info, 0..<128)
        let original = try values(model.source, info, 0..<128)
        #expect(read == original.map { Float(Int8(truncatingIfNeeded: $0.bitPattern >> 8)) })
    }

    /// The converter writes row (half a, index i) of each Llama head at 2 i + a.
    @Test func llamaRowsAreUndone() throws {
        var writer = GGUFWriter()
        writer.set("general.architecture", .string("llama"))
        writer.set("llama.attention.head_count", .uint32(2))
        writer.set("llama.attention.head_count_kv", .uint32(1))
        let rows = (0..<8).map { Float($0) }
        writer.add("blk.0.attn_q.weight", shape: [8, 1], dtype: .f32, bytes: GGUFConversion.bytes(rows))
        writer.add("blk.0.attn_k.bias", shape: [4], dtype: .f32, bytes: GGUFConversion.bytes(Array(rows[..<4])))
        writer.add("blk.0.attn_v.weight", shape: [4, 1], dtype: .f32, bytes: GGUFConversion.bytes(Array(rows[..<4])))
        writer.add("blk.0.ffn_gate.weight", shape: [4, 1], dtype: .f32, bytes: GGUFConversion.bytes(Array(rows[..<4])))
        writer.add("rope_freqs.weight", shape: [2], dtype: .f32, bytes: GGUFConversion.bytes([1, 1]))
        let checkpoint = try GGUFCheckpoint(
            text: GGUFFile(path: directory.write(writer.file, to: "l.gguf")), projector: nil)
        let prefix = "model.language_model.layers.0."
        func read(_ name: String) throws -> [Float] {
            let info = try #require(checkpoint.info(prefix + name))
            return try values(checkpoint, info, 0..<info.rows)
        }
        #expect(try read("self_attn.q_proj.weight") == [0, 2, 1, 3, 4, 6, 5, 7])
        #expect(try read("self_attn.k_proj.bias") == [0, 2, 1, 3])
        #expect(try read("self_attn.v_proj.weight") == [0, 1, 2, 3])
        #expect(try read("mlp.gate_proj.weight") == [0, 1, 2, 3])
        #expect(checkpoint.tensors.count == 4)
    }

    @Test func theLargestMatchingVisionFileIsPaired() throws {
        try writePair()
        var other = try conversion().vision(Self.visionMetadata)
        other.metadata[1].value = .string("ldpv2")
        try write(other, "another-mmproj.gguf")
        #expect(try open("").configuration.vision != nil)
        var narrow = try conversion().vision(Self.visionMetadata)
        narrow.tensors.removeAll { $0.name == "mm.down.weight" }
        narrow.add("mm.down.weight", shape: [64, 192], dtype: .f32, bytes: [UInt8](repeating: 0, count: 64 * 192 * 4))
        try write(narrow, "narrow-mmproj.gguf")
        #expect(try open("").configuration.vision != nil)
        try directory.write("not GGUF", to: "noise.gguf")
        let error = #expect(throws: ModelError.self) { try open("") }
        #expect(error?.reason.contains("several models") == true)
    }

    static let lies: [(key: String, value: GGUFWriter.Value?, field: String)] = [
        ("general.architecture", .string("qwen2"), "general.architecture"),
        ("general.architecture", .uint32(4), "general.architecture"),
        ("glm4.block_count", nil, "glm4.block_count"), ("glm4.block_count", .uint32(1_000_000_000), "glm4.block_count"),
        ("glm4.block_count", .string("2"), "glm4.block_count"),
        ("glm4.block_count", .uint32(3), "tensor model.language_model.layers.2.input_layernorm.weight"),
        ("glm4.context_length", .uint64(1 << 40), "glm4.context_length"),
        ("glm4.embedding_length", .uint32(129), "glm4.embedding_length"),
        ("glm4.attention.head_count", .uint32(0), "glm4.attention.head_count"),
        ("glm4.attention.head_count", .uint32(5), "glm4.attention.head_count_kv"),
        ("glm4.attention.head_count_kv", .array([.uint32(2)]), "glm4.attention.head_count_kv"),
        ("glm4.attention.layer_norm_rms_epsilon", .float(.nan), "glm4.attention.layer_norm_rms_epsilon"),
        ("glm4.rope.freq_base", .float(.infinity), "glm4.rope.freq_base"),
        ("glm4.rope.dimension_count", .uint32(15), "glm4.rope.dimension_count"),
        ("glm4.rope.dimension_count", .uint32(64), "glm4.rope.dimension_count"),
        (
            "glm4.rope.dimension_sections", .array([.int32(8), .int32(8), .int32(8), .int32(0)]),
            "glm4.rope.dimension_sections"
        ),
        ("glm4.rope.dimension_sections", .string("2,3,3"), "glm4.rope.dimension_sections"),
        ("glm4.rope.scaling.type", .string("yarn"), "glm4.rope.scaling.type"),
        ("tokenizer.ggml.model", nil, "tokenizer.ggml.model"),
        ("tokenizer.ggml.tokens", .array([.string("a")]), "tokenizer.ggml.tokens"),
        ("tokenizer.ggml.tokens", .array((0..<321).map { .string("\($0)") }), "tokenizer.ggml.tokens"),
        ("tokenizer.ggml.tokens", .array([.uint32(1)]), "tokenizer.ggml.tokens"),
        ("tokenizer.ggml.token_type", .array([.int32(1)]), "tokenizer.ggml.token_type"),
        ("tokenizer.ggml.token_type", .array((0..<320).map { .string("\($0)") }), "tokenizer.ggml.token_type"),
        ("tokenizer.ggml.merges", .array([.uint32(1)]), "tokenizer.ggml.merges"),
        ("tokenizer.ggml.eos_token_id", .int32(-1), "tokenizer.ggml.eos_token_id"),
        ("tokenizer.ggml.eos_token_id", .uint32(320), "tokenizer.ggml.eos_token_id"),
        ("tokenizer.ggml.padding_token_id", .uint32(1 << 31), "tokenizer.ggml.padding_token_id"),
    ]

    @Test(arguments: lies.indices) func metadataThatLiesIsRefused(index: Int) throws {
        let (key, value, field) = Self.lies[index]
        var writer = try conversion().text(Self.textMetadata)
        writer.metadata.removeAll { $0.key == key }
        if let value { writer.set(key, value) }
        try write(writer, "tiny-F32.gguf")
        try write(conversion().vision(Self.visionMetadata), "mmproj.gguf")
        let error = try #require(#expect(throws: ModelError.self, "\(key)") { try open() })
        #expect(error.field == field, "\(error)")
    }

    @Test(arguments: [
        "v.patch_embd.weight", "v.patch_embd.weight.1", "mm.post_norm.bias", "v.blk.1.attn_qkv.weight",
        "v.position_embd.weight",
    ]) func aVisionFileThatLacksATensorIsRefused(name: String) throws {
        try write(conversion().text(Self.textMetadata), "tiny-F32.gguf")
        var vision = try conversion().vision(Self.visionMetadata)
        vision.tensors.removeAll { $0.name == name }
        try write(vision, "mmproj.gguf")
        #expect(throws: ModelError.self) { try open() }
    }
}
