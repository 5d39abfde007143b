import CCUDA
import MartletTensor

/// A batch as the kernels of attention read it.
struct StagedBatch {
    /// [rows]: which sequence of the batch a row belongs to, and its position in the cache.
    let rowSequences, rowPositions: CUdeviceptr
    /// [sequences, tableWidth], -1 behind a sequence's last block.
    let blockTables: CUdeviceptr
    let tableWidth: Int
    /// Rows of one sequence, for one block of threads each: a few, whose queries fill 16, and more.
    let short, long: Tiles
    /// Cache positions that the longest sequence may have: whole tables.
    let positionLimit: Int

    /// [count] of {first row, row count, sequence, 0}.
    struct Tiles {
        let address: CUdeviceptr
        let count: Int
    }
}

/// Brings a step's batch to the device once for all of its layers. It lies at the same place for all batches of one
/// shape until working memory moves.
final class StagedBatches {
    private let scratch: ScratchMemory
    private var current: Current?
    private var words: [Int32] = []

    /// What is on the device, and what it depends on.
    private struct Current {
        let batch: AttentionBatch
        let heads: AttentionHeads
        let blockSize, blockCount, generation: Int
        let staged: StagedBatch

        func serves(_ batch: AttentionBatch, _ cache: CUDABackend.KVCache, generation: Int) -> Bool {
            blockSize == cache.blockSize && blockCount == cache.blockCount && heads == cache.heads
                && self.generation == generation && self.batch == batch
        }
    }

    init(_ scratch: ScratchMemory) { self.scratch = scratch }

    /// Queries of a key/value head that a block of threads takes at most: of a few rows, and of many.
    static let shortQueries = 16
    static func longQueries(_ heads: AttentionHeads) -> Int { heads.dimension == 128 ? 128 : 64 }

    /// `batch` on the device, for what is put on the stream before another is.
    func stage(
        _ batch: AttentionBatch, for cache: CUDABackend.KVCache, by staging: Staging
    ) throws(CUDAError) -> StagedBatch {
        if let current, current.serves(batch, cache, generation: scratch.generation) { return current.staged }
        cache.check(batch)
        current = nil
        let group = cache.heads.queryCount / cache.heads.keyValueCount
        let width = Self.tableWidth(batch)
        let tiles = Self.tiles(of: batch, group: group, longQueries: Self.longQueries(cache.heads))
        words.removeAll(keepingCapacity: true)
        let sequences = append(count: batch.rowCount) { words in
            for (index, segment) in batch.segments.enumerated() {
                words += repeatElement(Int32(index), count: segment.rows.count)
            }
        }
        let positions = append(count: batch.rowCount) { words in
            for segment in batch.segments {
                words += (0..<segment.rows.count).lazy.map { Int32(segment.start + $0) }
            }
        }
        let short = append(tiles.short), long = append(tiles.long)
        let tables = append(count: batch.segments.count * width) { words in
            for segment in batch.segments {
                words += segment.blocks
                words += repeatElement(-1, count: width - segment.blocks.count)
            }
        }
        let start = try scratch.address(.batch, bytes: words.count * 4)
        try staging.copy(words, to: start)
        let place = { (index: Int) in start + UInt64(index * 4) }
        let staged = StagedBatch(
            rowSequences: place(sequences), rowPositions: place(positions), blockTables: place(tables),
            tableWidth: width, short: .init(address: place(short), count: tiles.short.count),
            long: .init(address: place(long), count: tiles.long.count), positionLimit: width * cache.blockSize)
        current = Current(
            batch: batch, heads: cache.heads, blockSize: cache.blockSize, blockCount: cache.blockCount,
            generation: scratch.generation, staged: staged)
        return staged
    }

    /// Begins at a multiple of 16 bytes; gives where.
    private func append(count: Int, _ body: (inout [Int32]) -> Void) -> Int {
        while words.count % 4 != 0 { words.append(0) }
        let start = words.count
        words.reserveCapacity(start + count)
        body(&words)
        precondition(words.count == start + count, "another batch")
        return start
    }

    private func append(_ tiles: [SIMD4<Int32>]) -> Int {
        append(count: 4 * tiles.count) { words in
            for tile in tiles { for word in 0..<4 { words.append(tile[word]) } }
        }
    }

    /// Powers of two, so that batches of growing sequences keep their shape.
    static func tableWidth(_ batch: AttentionBatch) -> Int {
        let longest = batch.segments.lazy.map(\.blocks.count).max() ?? 1
        return 1 << (Int.bitWidth - max(longest - 1, 0).leadingZeroBitCount)
    }

    private static func tiles(
        of batch: AttentionBatch, group: Int, longQueries: Int
    ) -> (short: [SIMD4<Int32>], long: [SIMD4<Int32>]) {
        var short: [SIMD4<Int32>] = [], long: [SIMD4<Int32>] = []
        for (index, segment) in batch.segments.enumerated() {
            let isShort = segment.rows.count * group <= shortQueries
            let rows = max(1, (isShort ? shortQueries : longQueries) / group)
            for first in stride(from: segment.rows.lowerBound, to: segment.rows.upperBound, by: rows) {
                let tile = SIMD4(Int32(first), Int32(min(rows, segment.rows.upperBound - first)), Int32(index), 0)
                if isShort { short.append(tile) } else { long.append(tile) }
            }
        }
        return (short, long)
    }
}
