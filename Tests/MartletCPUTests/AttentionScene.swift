import Foundation
import MartletTensor

@testable import MartletCPU

/// Some sequences with random queries, keys and values, and ways to compute their attention. The cache begins full
/// of NaN: a read of a slot that no row stored shows.
struct AttentionScene {
    let heads: AttentionHeads
    let dtype: DType
    /// Per sequence, [length, fusedWidth] before rotation.
    var fused: [[Float]]

    static let pairs = 4
    static let rotary = RotaryConfiguration(
        pairing: .interleaved, inverseFrequency: [1, 0.3, 0.1, 0.03], axis: [0, 0, 1, 2])

    init(heads: AttentionHeads, lengths: [Int], dtype: DType, seed: UInt64 = 1) {
        self.heads = heads
        self.dtype = dtype
        var numbers = SeededValues(seed)
        fused = lengths.map { numbers.floats($0 * heads.fusedWidth, scale: 2) }
    }

    func alone(_ index: Int) -> Self {
        var scene = self
        scene.fused = [fused[index]]
        return scene
    }

    private func length(_ sequence: Int) -> Int { fused[sequence].count / heads.fusedWidth }

    /// Steps of at most `chunk` rows of every sequence until all are done; per sequence [length, queryWidth].
    func run(
        isa: String, threads: Int, chunk: Int, blockSize: Int = 16, blockSeed: UInt64 = 3
    ) throws -> [[Float]] {
        let backend = try CPUBackend(threads: threads, isa: isa)
        let needed = fused.indices.map { (length($0) + blockSize - 1) / blockSize }
        let blockCount = needed.reduce(0, +) + 3
        let cache = try backend.makeKVCache(
            layers: 2, heads: heads, blockCount: blockCount, blockSize: blockSize, dtype: dtype)
        memset(cache.key(layer: 0, block: 0, head: 0, slot: 0), 0xFF, 2 * blockCount * cache.blockBytes)
        var numbers = SeededValues(blockSeed)
        var free = numbers.permutation(blockCount)
        let tables = needed.map { count in (0..<count).map { _ in free.removeLast() } }
        var results = [[Float]](repeating: [], count: fused.count)
        var done = [Int](repeating: 0, count: fused.count)
        while fused.indices.contains(where: { done[$0] < length($0) }) {
            try step(backend, cache, chunk: chunk, tables: tables, done: &done, results: &results)
        }
        return results
    }

    private func step(
        _ backend: CPUBackend, _ cache: CPUBackend.KVCache, chunk: Int, tables: [[Int32]], done: inout [Int],
        results: inout [[Float]]
    ) throws {
        var batch = AttentionBatch(segments: [])
        var members: [Int] = []
        var values: [Float] = []
        var positions = RotaryPositions()
        for sequence in fused.indices where done[sequence] < length(sequence) {
            let count = min(chunk, length(sequence) - done[sequence])
            let first = done[sequence]
            batch.segments.append(
                .init(rows: batch.rowCount..<batch.rowCount + count, start: first, blocks: tables[sequence]))
            members.append(sequence)
            values += fused[sequence][first * heads.fusedWidth..<(first + count) * heads.fusedWidth]
            for p in first..<first + count { positions.append(t: Int32(p), h: Int32(p / 2), w: Int32(p % 5)) }
            done[sequence] += count
        }
        let x = try backend.activation(values, width: heads.fusedWidth)
        let table = try backend.makeActivation(rows: x.rows, width: Self.rotary.dimensions)
        let y = try backend.makeActivation(rows: x.rows, width: heads.queryWidth)
        backend.rotaryTable(Self.rotary, positions: positions, into: table)
        backend.rotateAndStore(
            x, heads: heads, table: table, pairing: Self.rotary.pairing, cache: cache, layer: 1, batch: batch)
        backend.attention(x, heads: heads, cache: cache, layer: 1, batch: batch, into: y)
        for (segment, sequence) in zip(batch.segments, members) {
            results[sequence] += backend.read(y.rows(segment.rows))
        }
    }

    /// The same in doubles, plainly, from rotated rows; keys and values rounded to the cache's type.
    func truth(isa: String) throws -> [[Double]] {
        let backend = try CPUBackend(threads: 1, isa: isa)
        return try fused.indices.map { sequence in
            let x = try backend.activation(fused[sequence], width: heads.fusedWidth)
            var positions = RotaryPositions()
            for p in 0..<x.rows { positions.append(t: Int32(p), h: Int32(p / 2), w: Int32(p % 5)) }
            let table = try backend.makeActivation(rows: x.rows, width: Self.rotary.dimensions)
            backend.rotaryTable(Self.rotary, positions: positions, into: table)
            backend.rotate(
                x, headCount: heads.queryCount + heads.keyValueCount, dimension: heads.dimension, table: table,
                pairing: Self.rotary.pairing)
            return Self.attention(backend.read(x), heads: heads, isCausal: true) { stored($0) }
        }
    }

    /// Rows [rows, fusedWidth] as the cache has their keys and values.
    private func stored(_ rows: [Float]) -> [Double] {
        guard dtype == .q8_0 else { return rows.map(rounded) }
        // Heads lie one after the other.
        return stride(from: 0, to: rows.count, by: heads.dimension).flatMap { first in
            let head = rows[first..<first + heads.dimension], magnitude = head.map(abs).max() ?? 0
            return head.map { Double(($0 * (127 / magnitude)).rounded(.toNearestOrEven)) * Double(magnitude / 127) }
        }
    }

    private func rounded(_ x: Float) -> Double {
        switch dtype {
        case .f16: Double(Float(Float16(x)))
        case .bf16:
            Double(Float(bitPattern: (x.bitPattern + 0x7FFF + (x.bitPattern >> 16 & 1)) & 0xFFFF_0000))
        default: Double(x)
        }
    }

    /// Softmax attention of rows [rows, fusedWidth] over each other; `stored` is what the cache makes of them.
    static func attention(
        _ fused: [Float], heads: AttentionHeads, isCausal: Bool, stored: ([Float]) -> [Double]
    ) -> [Double] {
        let rows = fused.count / heads.fusedWidth
        let group = heads.queryCount / heads.keyValueCount
        let keys = stored(fused)
        var result: [Double] = []
        for row in 0..<rows {
            for head in 0..<heads.queryCount {
                let query = row * heads.fusedWidth + head * heads.dimension
                let key = heads.queryWidth + head / group * heads.dimension
                let scores = (0..<(isCausal ? row + 1 : rows)).map { position in
                    (0..<heads.dimension).reduce(0.0) {
                        $0 + Double(fused[query + $1]) * keys[position * heads.fusedWidth + key + $1]
                    } / Double(heads.dimension).squareRoot()
                }
                let highest = scores.max() ?? 0
                let weights = scores.map { exp($0 - highest) }
                let sum = weights.reduce(0, +)
                for d in 0..<heads.dimension {
                    let value = key + heads.keyValueWidth + d
                    result.append(
                        weights.indices.reduce(0.0) { $0 + weights[$1] * keys[$1 * heads.fusedWidth + value] } / sum)
                }
            }
        }
        return result
    }
}
