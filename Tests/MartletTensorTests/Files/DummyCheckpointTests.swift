import MartletCore
import MartletTensor
import Testing

/// The rule of MODEL.md 7.2; expected values were made with Python and torch from its text.
@Suite struct DummyCheckpointTests {
    private func values(_ name: String, _ shape: [Int], dtype: DType = .f32, rows: Range<Int>? = nil) throws -> [Float]
    {
        let source = try DummyCheckpoint(tensors: [TensorInfo(name: name, dtype: dtype, shape: shape)])
        return try source.withRows(name, rows ?? 0..<shape[0]) { QuantizedBlocks.dequantize($0, dtype: dtype) }
    }

    private func digest(_ name: String, _ shape: [Int], dtype: DType) throws -> String {
        let source = try DummyCheckpoint(tensors: [TensorInfo(name: name, dtype: dtype, shape: shape)])
        return try source.withRows(name, 0..<shape[0]) { Digest(of: $0) }.description
    }

    @Test func hashIsFNV() { #expect(DummyCheckpoint.hash("lm_head.weight") == 0xab67_eb51_5e1b_6f0d) }

    @Test func firstValuesOfTheHead() throws {
        // One column, so the divisor is 1 and a value is 3u.
        let first = try values("lm_head.weight", [3, 1])
        let u = [0.49278002977371216, 0.484735906124115, -0.4581507444381714]
        #expect(first == u.map { Float($0 * 3) })
    }

    @Test func everyKindOfNameHasItsRange() throws {
        #expect(
            try values("model.language_model.layers.0.self_attn.q_proj.bias", [3])
                == [0.12020061165094376, 0.05357756465673447, 0.08348877727985382])
        #expect(
            try values("model.language_model.norm.weight", [3])
                == [0.9477258920669556, 1.0091954469680786, 1.0688486099243164])
        #expect(
            try values("model.visual.embeddings.position_embedding.weight", [1, 3])
                == [-0.269716739654541, 0.821460485458374, -0.7322565317153931])
        // "norm" and "bias": the bias wins.
        #expect(try values("model.visual.merger.post_projection_norm.bias", [64]).allSatisfy { abs($0) <= 0.2 })
    }

    @Test(arguments: [
        (DType.f32, "6957b39ae207e0c2970f4702d355d4cb3d1bcd778ba8a81cf5af3bd23e063303"),
        (DType.f16, "40ad8cc38e289c07c512ccc80d5c999227bdd25b477e4a51836f7a5dd8fad9bd"),
        (DType.bf16, "6446ea7e7f0e2d5d35ab6100a74594d061ddcb569c40371bed5326f043cc1d9a"),
    ]) func storedTypesRoundAsTorchDoes(dtype: DType, expected: String) throws {
        #expect(try digest("model.visual.merger.proj.weight", [128, 128], dtype: dtype) == expected)
    }

    /// Against Swift's own conversion, on a row wide enough for some of its values to be subnormal halves.
    @Test func smallHalvesRoundToNearestEven() throws {
        let info = TensorInfo(name: "tiny.weight", dtype: .f32, shape: [1, 1 << 16])
        let source = try DummyCheckpoint(tensors: [info])
        let exact = try source.withRows(info.name, 0..<1) { QuantizedBlocks.dequantize($0, dtype: .f32) }
        let halves = try values("tiny.weight", [1, 1 << 16], dtype: .f16)
        #expect(exact.filter { abs($0) < 6e-5 }.count > 100)
        #expect(halves == exact.map { Float(Float16($0)) })
    }

    /// On enough values (2u has few bits where u is small) for ties both ways.
    @Test func tiesRoundToEvenInBF16() throws {
        let exact = try values("embed_tokens", [1, 1 << 17])
        let rounded = try values("embed_tokens", [1, 1 << 17], dtype: .bf16)
        let ties = exact.indices.filter { exact[$0].bitPattern & 0xFFFF == 0x8000 }
        #expect(ties.count > 4)
        for index in ties {
            let bits = rounded[index].bitPattern
            #expect(bits & 0x1FFFF == 0 && abs(Int64(bits) - Int64(exact[index].bitPattern)) == 0x8000)
        }
    }

    @Test func aSliceIsAPieceOfTheWhole() throws {
        let whole = try values("model.language_model.layers.1.mlp.down_proj.weight", [24, 40], dtype: .bf16)
        let slice = try values(
            "model.language_model.layers.1.mlp.down_proj.weight", [24, 40], dtype: .bf16, rows: 7..<19)
        #expect(Array(whole[7 * 40..<19 * 40]) == slice)
        #expect(try values("a.weight", [24, 40], rows: 5..<5).isEmpty)
    }

    @Test func whatCannotBeMadeIsRefused() throws {
        let quantized = TensorInfo(name: "a", dtype: .q4_K, shape: [1, 256])
        #expect(throws: WeightError.self) { try DummyCheckpoint(tensors: [quantized]) }
        let plain = TensorInfo(name: "a", dtype: .f32, shape: [2, 2])
        #expect(throws: WeightError.self) { try DummyCheckpoint(tensors: [plain, plain]) }
        let source = try DummyCheckpoint(tensors: [plain])
        #expect(throws: WeightError.self) { try source.withRows("b", 0..<1) { _ in } }
        #expect(throws: WeightError.self) { try source.withRows("a", 0..<3) { _ in } }
    }
}
