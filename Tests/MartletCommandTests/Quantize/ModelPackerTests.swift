import ArgumentParser
import Foundation
import MartletCPU
import MartletCore
import MartletEngine
import MartletModels
import MartletTensor
import MartletVision
import Testing

@testable import MartletCommand

/// A packed directory answers as the model that it was made of, bit for bit.
@Suite struct ModelPackerTests {
    private static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardizedFileURL.path
    private static let tiny = tests + "/EndToEnd/tiny-glm4v"
    private static let gguf = tests + "/MartletModelsTests/Fixtures/models/glm4v-12.gguf"

    /// A place of its own, which is free.
    private func place() -> String {
        FileManager.default.temporaryDirectory.appendingPathComponent("martlet-packed-\(UUID())").path
    }

    private func open(_ path: String, _ format: LoadFormat = .auto) throws -> ModelFiles {
        try ModelFiles.open(path, loadFormat: format, environment: [:])
    }

    private func pack(
        _ files: ModelFiles, _ quantization: WeightQuantization, to path: String, maxShardBytes: Int? = nil
    ) throws {
        let packer = try ModelPacker(files, quantization: quantization, maxShardBytes: maxShardBytes)
        let directory = try StagedDirectory(path: path)
        var written = 0
        try packer.write(to: directory, backend: CPUBackend(threads: 2, workspaceCount: 1)) { written += $0 }
        try directory.commit()
        #expect(written == packer.byteCount)
    }

    /// Answers to words and to a picture, with log-probabilities.
    private func answers(_ arguments: [String]) async throws -> [[SampledToken]] {
        let line = arguments + ["--max-model-len", "512", "--kv-cache-memory-bytes", "8M", "--threads", "2"]
        var answers: [[SampledToken]] = []
        try await LocalModel.run(FlagReader(line).settings(environment: [:]), isQuiet: true) { local in
            let processor = try #require(local.assembly.images)
            var conversation = Conversation(system: "Be brief.")
            conversation.ask("What is it?", picture: try processor.prepare(Checklist.drawing(isRed: true)))
            for prompt in [Prompt(tokens: [5, 6, 7]), try conversation.prompt(of: local.assembly).prompt] {
                var sampling = SamplingParameters()
                sampling.temperature = 0
                sampling.maxTokens = 8
                sampling.ignoresEndOfGeneration = true
                sampling.logprobCount = 5
                answers.append(try await local.generate(GenerationRequest(prompt: prompt, sampling: sampling)).tokens)
            }
        }
        return answers
    }

    @Test(arguments: [WeightQuantization.none, .int8, .int4])
    func aPackedModelAnswersAsItsFiles(quantization: WeightQuantization) async throws {
        let path = place()
        defer { try? FileManager.default.removeItem(atPath: path) }
        try pack(open(Self.tiny, .dummy), quantization, to: path, maxShardBytes: quantization == .int8 ? 100_000 : nil)
        #expect(try open(path).isPacked)
        let cache = ["--kv-cache-dtype", "float32"]
        let expected = try await answers(
            [Self.tiny, "--load-format", "dummy", "--quantization", quantization.rawValue] + cache)
        #expect(expected.allSatisfy { $0.count == 8 })
        #expect(try await answers([path] + cache) == expected)
        #expect(try await answers([path, "--no-mmap"] + cache) == expected)
    }

    @Test func aPackedGGUFHasTheSameMatrices() throws {
        let path = place()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let files = try open(Self.gguf)
        try pack(files, .none, to: path)
        let packed = try open(path)
        #expect(packed.configuration == files.configuration)
        #expect(packed.processorConfig == files.processorConfig)
        #expect(packed.chatTemplate == files.chatTemplate)
        let backend = try CPUBackend(threads: 1), source = files.configuration.asMultiplied(files.weights)
        for info in files.configuration.tensors(of: files.weights) where info.isMatrix {
            #expect(packed.weights.info(info.name) == info)
            let slices = [MatrixSlice(name: info.name, rows: 0..<info.rows, columns: 0..<info.columns)]
            let rows = try [source, packed.weights].map { source in
                let matrix = try backend.loadMatrix(slices, from: source, dtype: nil)
                let y = try backend.makeActivation(rows: info.rows, width: info.columns)
                backend.embed((0..<info.rows).map { TokenID($0) }, table: matrix, firstRow: 0, into: y)
                return backend.read(y)
            }
            #expect(rows[0] == rows[1], "\(info.name)")
        }
    }

    @Test func whatIsPackedIsCheckedAndNotPackedAgain() throws {
        let path = place()
        defer { try? FileManager.default.removeItem(atPath: path) }
        try pack(open(Self.tiny, .dummy), .int8, to: path)
        #expect(throws: PackError.self) { try ModelPacker(open(path), quantization: .int4) }
        #expect(throws: PackError.self) { try StagedDirectory(path: path) }
        let check = try #require(
            try MartletCommand.parseAsRoot(["quantize", "--check", path]) as? QuantizeCommand)
        try check.run()
        let file = path + "/model.safetensors"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        bytes[bytes.count - 5] ^= 0x10
        try bytes.write(to: URL(fileURLWithPath: file))
        #expect(throws: WeightError.self) { try check.run() }
    }

    @Test func aFailureLeavesNothing() throws {
        let parent = place()
        try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: parent) }
        do {
            let directory = try StagedDirectory(path: parent + "/out")
            try directory.write([1, 2, 3], to: "model.safetensors")
            #expect(FileManager.default.fileExists(atPath: directory.temporaryPath))
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: parent) == [])
        let command = try #require(
            try MartletCommand.parseAsRoot(["quantize", "/nowhere", parent + "/out"]) as? QuantizeCommand)
        #expect(throws: ModelError.self) { try command.run() }
        #expect(try FileManager.default.contentsOfDirectory(atPath: parent) == [])
    }

    @Test(arguments: [
        ("5GB", 5_000_000_000), ("4GiB", 4 << 30), ("500MB", 500_000_000), ("2g", 2_000_000_000), ("1", nil),
        ("100KB", nil), ("GB", nil), ("-5GB", nil), ("auto", nil),
    ] as [(String, Int?)])
    func sizesAreRead(text: String, bytes: Int?) { #expect(QuantizeCommand.bytes(text) == bytes) }

    @Test func theRulesAreThoseOfTheTable() {
        func target(
            _ quantization: WeightQuantization, _ name: String, _ shape: Int..., as dtype: DType = .bf16
        ) -> DType? {
            quantization.target(of: TensorInfo(name: name, dtype: dtype, shape: shape))
        }
        let layer = "model.language_model.layers.0."
        for name in [layer + "mlp.down_proj.weight", layer + "self_attn.q_proj.weight"] {
            #expect(target(.int4, name, 64, 64) == .q4_0 && target(.int8, name, 64, 64) == .q8_0)
        }
        for name in [
            TensorName.embedding, TensorName.head, layer + "self_attn.v_proj.weight",
            "model.visual.blocks.0.attn.qkv.weight", "model.visual.merger.proj.weight",
        ] { #expect(target(.int4, name, 64, 64) == .q8_0) }
        for quantization in WeightQuantization.allCases {
            #expect(target(quantization, layer + "input_layernorm.weight", 64) == nil)
            #expect(target(quantization, "model.visual.embeddings.position_embedding.weight", 64, 64) == nil)
            #expect(target(quantization, "model.visual.patch_embed.proj.weight", 64, 3, 2, 14, 14) == nil)
            #expect(target(quantization, TensorName.head, 64, 64, as: .q4_K) == nil)
        }
        #expect(target(.none, TensorName.head, 64, 64) == nil)
    }
}
