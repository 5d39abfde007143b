import MartletCPU
import MartletCUDA
import MartletTensor
import MartletTestSupport
import Testing

/// Attention over the paged cache and over images, beside the CPU's.
@Suite struct AttentionTests {
    struct Shape: Sendable, CustomTestStringConvertible {
        let query, keyValue, dimension: Int

        var heads: AttentionHeads {
            AttentionHeads(queryCount: query, keyValueCount: keyValue, dimension: dimension)
        }
        var testDescription: String { "\(query)/\(keyValue) x \(dimension)" }
    }

    static let shapes = [
        Shape(query: 4, keyValue: 2, dimension: 16), Shape(query: 16, keyValue: 1, dimension: 32),
        Shape(query: 6, keyValue: 2, dimension: 24), Shape(query: 2, keyValue: 2, dimension: 128),
        Shape(query: 70, keyValue: 1, dimension: 16),
    ]

    /// A prompt, a chunk behind it, and decodes of several sequences, all of them in one step.
    @Test(arguments: shapes, DType.operands) func pagedAttention(_ shape: Shape, _ type: DType) throws {
        let kinds = [(ActivationRole.operand, type), (.exact, type), (.operand, .q8_0), (.operand, .bf16)]
        for (role, cacheType) in kinds {
            try EmulatedGPUs.run { gpus in
                let pair = try BackendPair(type, on: gpus)
                let scene = try PagedScene(pair, heads: shape.heads, cacheType: cacheType, role: role)
                // A rounded key may fall to the next of 255 quants.
                let bound = max(type.bound, cacheType == .q8_0 && type != .f32 ? 8e-3 : cacheType.bound)
                try scene.step([(0, 40), (1, 1), (2, 19)], within: bound)
                try scene.step([(2, 1), (0, 7), (1, 1), (3, 140)], within: bound)
                try scene.step([(0, 1), (1, 1), (2, 1), (3, 1)], within: bound)
            }
        }
    }

    @Test(arguments: [16, 24, 32, 64, 80, 128], DType.operands)
    func fullAttention(_ dimension: Int, _ type: DType) throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(type, on: gpus)
            let heads = AttentionHeads(queryCount: 2, keyValueCount: 2, dimension: dimension)
            let fused = try pair.rows(133, heads.fusedWidth, role: .operand, scale: 2)
            for queries in [0..<133, 5..<6, 100..<133] {
                let y = try pair.empty(queries.count, heads.queryWidth, padding: 8, role: .operand)
                pair.gpu.fullAttention(fused.gpu, heads: heads, queries: queries, into: y.gpu)
                pair.cpu.fullAttention(fused.cpu, heads: heads, queries: queries, into: y.cpu)
                try pair.expectNear(y, within: type.bound, "\(queries)")
            }
        }
    }

    /// Every layer of a step reads what was staged once, however many there are.
    @Test func aBatchIsStagedOnce() throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(.f32, on: gpus)
            let heads = AttentionHeads(queryCount: 2, keyValueCount: 1, dimension: 16)
            let gpu = pair.gpu
            let cache = try gpu.makeKVCache(layers: 8, heads: heads, blockCount: 2, blockSize: 16, dtype: .f32)
            let x = try pair.rows(4, heads.fusedWidth), y = try pair.empty(4, heads.queryWidth)
            let batch = AttentionBatch(segments: [.init(rows: 0..<4, start: 0, blocks: [1])])
            let before = gpus.callCount(of: "cuMemcpyHtoDAsync")
            for layer in 0..<8 {
                gpu.attention(x.gpu, heads: heads, cache: cache, layer: layer, batch: batch, into: y.gpu)
            }
            #expect(gpus.callCount(of: "cuMemcpyHtoDAsync") == before + 1)
        }
    }
}

/// Sequences that grow step by step in the caches of both backends.
final class PagedScene {
    private let pair: BackendPair
    private let heads: AttentionHeads
    private let role: ActivationRole
    private let gpuCache: CUDABackend.KVCache
    private let cpuCache: CPUBackend.KVCache
    private var lengths = [Int](repeating: 0, count: 4)
    private var seed: UInt64 = 10
    private static let blockSize = 16, blocksEach = 10

    init(_ pair: BackendPair, heads: AttentionHeads, cacheType: DType, role: ActivationRole) throws {
        (self.pair, self.heads, self.role) = (pair, heads, role)
        gpuCache = try pair.gpu.makeKVCache(
            layers: 2, heads: heads, blockCount: 4 * Self.blocksEach, blockSize: Self.blockSize, dtype: cacheType)
        cpuCache = try pair.cpu.makeKVCache(
            layers: 2, heads: heads, blockCount: 4 * Self.blocksEach, blockSize: Self.blockSize, dtype: cacheType)
    }

    /// So many rows of each of these sequences.
    func step(_ members: [(sequence: Int, rows: Int)], within bound: Float) throws {
        var batch = AttentionBatch(segments: []), positions = RotaryPositions()
        for (sequence, rows) in members {
            let start = lengths[sequence], needed = (start + rows + Self.blockSize - 1) / Self.blockSize
            // Blocks of the sequences lie scattered.
            let blocks = (0..<needed).map { Int32(sequence + 4 * (($0 * 3 + 1) % Self.blocksEach)) }
            batch.segments.append(
                .init(rows: batch.rowCount..<batch.rowCount + rows, start: start, blocks: blocks))
            for p in start..<start + rows { positions.append(t: Int32(p), h: Int32(p / 2), w: Int32(p % 5)) }
            lengths[sequence] += rows
        }
        seed += 1
        let rotary = RotaryConfiguration(
            pairing: .interleaved, inverseFrequency: [1, 0.3, 0.1, 0.03], axis: [0, 0, 1, 2])
        let count = batch.rowCount
        let x = try pair.rows(count, heads.fusedWidth, role: role, scale: 2, seed: seed)
        let table = try pair.empty(count, 8), y = try pair.empty(count, heads.queryWidth, role: role)
        pair.gpu.rotaryTable(rotary, positions: positions, into: table.gpu)
        pair.cpu.rotaryTable(rotary, positions: positions, into: table.cpu)
        pair.gpu.rotateAndStore(
            x.gpu, heads: heads, table: table.gpu, pairing: .interleaved, cache: gpuCache, layer: 1, batch: batch)
        pair.cpu.rotateAndStore(
            x.cpu, heads: heads, table: table.cpu, pairing: .interleaved, cache: cpuCache, layer: 1, batch: batch)
        try pair.expectNear(x, within: bound, "rotated")
        pair.gpu.attention(x.gpu, heads: heads, cache: gpuCache, layer: 1, batch: batch, into: y.gpu)
        pair.cpu.attention(x.cpu, heads: heads, cache: cpuCache, layer: 1, batch: batch, into: y.cpu)
        try pair.expectNear(y, within: bound, "\(members)")
    }
}
