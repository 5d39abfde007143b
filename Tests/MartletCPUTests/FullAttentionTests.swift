import MartletTensor
import Testing

@testable import MartletCPU

@Suite struct FullAttentionTests {
    @Test(arguments: CPUKernels.available, [1, 32, 75])
    func matchesDoubles(isa: String, patches: Int) throws {
        let heads = AttentionHeads(queryCount: 3, keyValueCount: 3, dimension: 16)
        var numbers = SeededValues(UInt64(patches))
        let fused = numbers.floats(patches * heads.fusedWidth, scale: 2)
        let result = try run(isa, heads, fused, strip: patches, threads: 2)
        let truth = AttentionScene.attention(fused, heads: heads, isCausal: false) { $0.map(Double.init) }
        #expect(result.error(from: truth) < 1e-6)
    }

    @Test(arguments: CPUKernels.available)
    func stripsAndThreadsChangeNoBit(isa: String) throws {
        let heads = AttentionHeads(queryCount: 2, keyValueCount: 2, dimension: 24)
        var numbers = SeededValues(5)
        let fused = numbers.floats(70 * heads.fusedWidth, scale: 2)
        let whole = try run(isa, heads, fused, strip: 70, threads: 1)
        for (strip, threads) in [(1, 1), (7, 2), (16, 3), (70, 3)] {
            #expect(try run(isa, heads, fused, strip: strip, threads: threads).bitPatterns == whole.bitPatterns)
        }
        #expect(try run("scalar", heads, fused, strip: 70, threads: 1).bitPatterns == whole.bitPatterns)
    }

    @Test(arguments: CPUKernels.available, [1, 63, 64, 150])
    func attentionOfBF16IsNearTheExactOne(isa: String, patches: Int) throws {
        let heads = AttentionHeads(queryCount: 3, keyValueCount: 3, dimension: 80)
        var numbers = SeededValues(UInt64(patches))
        let fused = numbers.floats(patches * heads.fusedWidth, scale: 2)
        let result = try run(isa, heads, fused, strip: patches, threads: 2, activations: .bf16)
        let truth = AttentionScene.attention(fused, heads: heads, isCausal: false) { $0.map(Double.init) }
        let error = result.error(from: truth)
        #expect(error < 1e-2 && error > 1e-5)
        let scalar = try run("scalar", heads, fused, strip: patches, threads: 1, activations: .bf16)
        #expect(result.bitPatterns == scalar.bitPatterns)
    }

    @Test(arguments: CPUKernels.available)
    func stripsThreadsAndWorkspaceChangeNoBitOfBF16(isa: String) throws {
        let heads = AttentionHeads(queryCount: 3, keyValueCount: 3, dimension: 48)
        var numbers = SeededValues(6)
        let fused = numbers.floats(130 * heads.fusedWidth, scale: 2)
        let whole = try run(isa, heads, fused, strip: 130, threads: 1, activations: .bf16)
        for (strip, threads) in [(1, 1), (7, 2), (96, 3), (130, 3)] {
            let parts = try run(isa, heads, fused, strip: strip, threads: threads, activations: .bf16)
            #expect(parts.bitPatterns == whole.bitPatterns)
        }
        // Three tiles of one head; and too little for one, where it is exact.
        let head = 3 * 64 * 48
        let small = try run(isa, heads, fused, strip: 130, threads: 2, activations: .bf16, workspace: head)
        #expect(small.bitPatterns == whole.bitPatterns)
        let none = try run(isa, heads, fused, strip: 130, threads: 2, activations: .bf16, workspace: head - 1)
        #expect(try none.bitPatterns == run(isa, heads, fused, strip: 130, threads: 2).bitPatterns)
    }

    private func run(
        _ isa: String, _ heads: AttentionHeads, _ fused: [Float], strip: Int, threads: Int,
        activations: ActivationPrecision = .f32, workspace: Int = 4 << 20
    ) throws -> [Float] {
        let backend = try CPUBackend(
            threads: threads, isa: isa, activations: activations, workspaceCount: workspace)
        let x = try backend.activation(fused, width: heads.fusedWidth, padding: 8)
        return try stride(from: 0, to: x.rows, by: strip).flatMap { first in
            let rows = first..<min(first + strip, x.rows)
            let y = try backend.makeActivation(rows: rows.count, width: heads.queryWidth)
            backend.fullAttention(x, heads: heads, queries: rows, into: y)
            return backend.read(y)
        }
    }
}
