import MartletCore
import MartletTensor
import Testing

@testable import MartletModels

@Suite struct ModelTensorsTests {
    private func read(_ text: String) throws -> ModelConfiguration {
        try ModelConfiguration(config: JSONParser.parse(text), generation: nil, file: "config.json")
    }

    /// The counts of MODEL.md 1.1.
    @Test func theNineBillionAreCounted() throws {
        let tensors = try read(#"{"architectures":["Glm4vForConditionalGeneration"],"dtype":"bfloat16"}"#).tensors
        let vision = tensors.filter { $0.name.hasPrefix(TensorName.visionPrefix) }
        #expect(tensors.count == 704 && vision.count == 181)
        #expect(tensors.reduce(0) { $0 + $1.elementCount } == 10_292_777_472)
        #expect(vision.reduce(0) { $0 + $1.elementCount } == 892_498_432)
        #expect(tensors.reduce(0) { $0 + $1.byteCount } == 20_585_554_944)
        #expect(Set(tensors.map(\.name)).count == tensors.count)
    }

    @Test func shapesAreTheSpecs() throws {
        let tensors = try read(#"{"architectures":["Glm4vForConditionalGeneration"]}"#).tensors
        let shapes = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.shape) })
        #expect(shapes["model.language_model.layers.39.mlp.gate_up_proj.weight"] == [27392, 4096])
        #expect(shapes["model.language_model.layers.0.self_attn.k_proj.bias"] == [256])
        #expect(shapes["model.visual.patch_embed.proj.weight"] == [1536, 3, 2, 14, 14])
        #expect(shapes["model.visual.downsample.weight"] == [4096, 1536, 2, 2])
        #expect(shapes["model.visual.merger.down_proj.weight"] == [4096, 13696])
    }

    @Test func aTiedLlamaHasNoHeadAndSeparateGates() throws {
        let names = try read(#"{"architectures":["LlamaForCausalLM"],"tie_word_embeddings":true}"#).tensors.map(\.name)
        #expect(!names.contains("lm_head.weight"))
        #expect(names.contains("model.language_model.layers.0.mlp.gate_proj.weight"))
        #expect(!names.contains { $0.contains("bias") || $0.contains("post_mlp") })
    }

    // MARK: The check

    private func check(_ change: (inout [TensorInfo]) -> Void) throws {
        let model = try read(TinyModel.config)
        var tensors = model.tensors
        change(&tensors)
        try model.check(DummyCheckpoint(tensors: tensors), file: "m")
    }

    private func replace(_ name: String, in tensors: inout [TensorInfo], by others: [TensorInfo]) {
        tensors = tensors.filter { $0.name != name } + others
    }

    @Test func aWholeCheckpointPasses() throws { try check { _ in } }

    @Test func splitGatesPass() throws {
        let prefix = "model.language_model.layers.1.mlp."
        let gate = TensorInfo(name: prefix + "gate_proj.weight", dtype: .f32, shape: [192, 128])
        let up = TensorInfo(name: prefix + "up_proj.weight", dtype: .f32, shape: [192, 128])
        try check { replace(prefix + "gate_up_proj.weight", in: &$0, by: [gate, up]) }
        let missing = #expect(throws: ModelError.self) {
            try check { replace(prefix + "gate_up_proj.weight", in: &$0, by: [gate]) }
        }
        #expect(missing?.field == "tensor \(prefix)gate_up_proj.weight")
        let short = TensorInfo(name: up.name, dtype: .f32, shape: [191, 128])
        #expect(throws: ModelError.self) {
            try check { replace(prefix + "gate_up_proj.weight", in: &$0, by: [gate, short]) }
        }
    }

    @Test func whatIsMissingIsNamedWithItsShape() throws {
        let error = #expect(throws: ModelError.self) {
            try check { $0.removeAll { $0.name.contains("layers.1.self_attn.k_proj") } }
        }
        #expect(error?.field == "tensor model.language_model.layers.1.self_attn.k_proj.weight")
        #expect(error?.reason == "of shape [64, 128] is missing, and so are 1 more")
        let head = #expect(throws: ModelError.self) { try check { $0.removeAll { $0.name == "lm_head.weight" } } }
        #expect(head?.reason.contains("tie_word_embeddings") == true)
    }

    @Test func aWrongShapeIsNamedWithBoth() throws {
        let error = #expect(throws: ModelError.self) {
            try check {
                replace(
                    "lm_head.weight", in: &$0, by: [TensorInfo(name: "lm_head.weight", dtype: .f32, shape: [320, 64])])
            }
        }
        #expect(error?.field == "tensor lm_head.weight")
        #expect(error?.reason == "has shape [320, 64] where the configuration needs [320, 128]")
    }
}
