import Foundation
import MartletTensor
import Testing

@testable import MartletCPU

/// Causal attention over the paged cache: right against doubles, and the same bits however a sequence is computed.
@Suite struct AttentionTests {
    static let heads = AttentionHeads(queryCount: 6, keyValueCount: 2, dimension: 16)

    @Test(arguments: CPUKernels.available, [DType.f32, .f16, .bf16, .q8_0])
    func matchesDoubles(isa: String, dtype: DType) throws {
        let scene = AttentionScene(heads: Self.heads, lengths: [1, 33, 70], dtype: dtype)
        let result = try scene.run(isa: isa, threads: 2, chunk: 100)
        let truth = try scene.truth(isa: isa)
        for (values, expected) in zip(result, truth) { #expect(values.error(from: expected) < 1e-6) }
    }

    @Test(arguments: CPUKernels.available, [DType.f16, .q8_0])
    func chunksChangeNoBit(isa: String, dtype: DType) throws {
        let scene = AttentionScene(heads: Self.heads, lengths: [5, 65, 34], dtype: dtype)
        let whole = try scene.run(isa: isa, threads: 1, chunk: 100)
        for chunk in [1, 7, 16] {
            let parts = try scene.run(isa: isa, threads: 1, chunk: chunk)
            #expect(parts.map(\.bitPatterns) == whole.map(\.bitPatterns), "chunks of \(chunk)")
        }
    }

    @Test(arguments: CPUKernels.available, [2, 3])
    func threadsChangeNoBit(isa: String, threads: Int) throws {
        let heads = AttentionHeads(queryCount: 16, keyValueCount: 1, dimension: 16)
        let scene = AttentionScene(heads: heads, lengths: [40, 9], dtype: .bf16)
        for chunk in [1, 9] {
            let single = try scene.run(isa: isa, threads: 1, chunk: chunk)
            let several = try scene.run(isa: isa, threads: threads, chunk: chunk)
            #expect(several.map(\.bitPatterns) == single.map(\.bitPatterns))
        }
    }

    @Test(arguments: CPUKernels.available, [DType.f32, .q8_0])
    func blocksMayLieAnywhere(isa: String, dtype: DType) throws {
        let scene = AttentionScene(heads: Self.heads, lengths: [37, 50], dtype: dtype)
        let first = try scene.run(isa: isa, threads: 1, chunk: 20)
        for (seed, blockSize) in [(UInt64(7), 16), (8, 16), (9, 5), (10, 1), (11, 48)] {
            let other = try scene.run(isa: isa, threads: 1, chunk: 20, blockSize: blockSize, blockSeed: seed)
            #expect(other.map(\.bitPatterns) == first.map(\.bitPatterns), "blocks of \(blockSize)")
        }
    }

    @Test(arguments: CPUKernels.available)
    func companyChangesNoBit(isa: String) throws {
        let scene = AttentionScene(heads: Self.heads, lengths: [33, 12, 20], dtype: .f16)
        let together = try scene.run(isa: isa, threads: 1, chunk: 11)
        for index in 0..<3 {
            let alone = try scene.alone(index).run(isa: isa, threads: 1, chunk: 11)
            #expect(alone[0].bitPatterns == together[index].bitPatterns)
        }
    }

    @Test(arguments: [(3, 3, 128), (6, 2, 20), (16, 2, 64), (5, 1, 8)], [DType.f32, .f16, .bf16, .q8_0])
    func everyInstructionSetHasTheBitsOfScalar(shape: (Int, Int, Int), dtype: DType) throws {
        let heads = AttentionHeads(queryCount: shape.0, keyValueCount: shape.1, dimension: shape.2)
        let scene = AttentionScene(heads: heads, lengths: [35, 3], dtype: dtype)
        let truth = try scene.run(isa: "scalar", threads: 2, chunk: 9)
        for isa in CPUKernels.available {
            let result = try scene.run(isa: isa, threads: 2, chunk: 9)
            #expect(result.map(\.bitPatterns) == truth.map(\.bitPatterns), "\(isa)")
        }
    }

    /// A row that holds NaN must not reach the rows before it, in the same tile of the same chunk.
    @Test(arguments: CPUKernels.available, [DType.f32, .q8_0])
    func laterRowsHaveNoEffect(isa: String, dtype: DType) throws {
        let scene = AttentionScene(heads: Self.heads, lengths: [24], dtype: dtype)
        let clean = try scene.run(isa: isa, threads: 1, chunk: 24)
        var poisoned = scene
        for i in 20 * Self.heads.fusedWidth..<24 * Self.heads.fusedWidth { poisoned.fused[0][i] = .nan }
        let result = try poisoned.run(isa: isa, threads: 1, chunk: 24)
        let early = 0..<20 * Self.heads.queryWidth
        #expect(Array(result[0][early]).bitPatterns == Array(clean[0][early]).bitPatterns)
        #expect(result[0][early.upperBound...].allSatisfy { $0.isNaN })
    }
}
