import CCUDA
import MartletTensor

// MARK: - Attention

extension CUDABackend {
    package func attention(
        _ fused: Activation<Storage>, heads: AttentionHeads, cache: KVCache, layer: Int, batch: AttentionBatch,
        into y: Activation<Storage>
    ) {
        precondition(fused.rows == batch.rowCount && fused.width == heads.fusedWidth, "attention: shapes disagree")
        precondition(y.rows == fused.rows && y.width == heads.queryWidth, "attention: shapes disagree")
        precondition(y.dtype == fused.dtype, "attention: \(fused.dtype) into \(y.dtype)")
        precondition(heads.dimension <= Self.maximumHeadDimension, "heads of \(heads.dimension) dimensions")
        cache.check(heads: heads, layer: layer)
        perform {
            let batch = try batches.stage(batch, for: cache, by: staging)
            for (tiles, places) in [
                (batch.short, StagedBatches.shortQueries), (batch.long, StagedBatches.longQueries(heads)),
            ] where tiles.count > 0 {
                try attend(
                    PagedAttention(
                        fused: fused, heads: heads, cache: cache, layer: layer, batch: batch, tiles: tiles,
                        places: max(places, heads.queryCount / heads.keyValueCount), y: y))
            }
        }
    }

    /// Some of a batch's rows, all in tiles of one kind.
    private struct PagedAttention {
        let fused: Activation<Storage>
        let heads: AttentionHeads
        let cache: KVCache
        let layer: Int
        let batch: StagedBatch
        let tiles: StagedBatch.Tiles
        /// Queries that a tile may have.
        let places: Int
        let y: Activation<Storage>

        /// In the name of a kernel for tensor cores.
        var sizes: (UInt8?, UInt8?) { (UInt8(heads.dimension), UInt8(places)) }

        /// Whether tensor cores do it.
        var suitsTensorCores: Bool {
            fused.dtype != .f32 && (fused.dtype == cache.dtype || cache.dtype == .q8_0)
                && CUDABackend.dimensions.contains(heads.dimension)
                && places <= StagedBatches.longQueries(heads) && fused.hasWholeVectors && y.hasWholeVectors
        }
    }

    /// Of heads that any kernel of attention takes: what its shared memory holds (plain_attention.cuh).
    package static let maximumHeadDimension = 256
    /// Of heads that tensor cores take.
    private static let dimensions: Set<Int> = [16, 32, 64, 128]

    private func attend(_ attention: PagedAttention) throws {
        let (heads, cache, batch, layer) = (attention.heads, attention.cache, attention.batch, attention.layer)
        let (fused, y, tiles) = (attention.fused, attention.y, attention.tiles)
        let isPlain = !attention.suitsTensorCores
        let columns = isPlain ? heads.queryCount : heads.keyValueCount
        let splits = splits(blocks: tiles.count * columns, positions: batch.positionLimit)
        let records = tiles.count * heads.keyValueCount * splits * attention.places
        let partial =
            splits > 1 ? try scratch.address(.attention, bytes: records * (heads.dimension + 2) * 4) : 0
        let grid = (tiles.count, columns, splits), scale = 1 / Float(heads.dimension).squareRoot()
        if isPlain {
            try launch(
                KernelName(.attentionPlain, fused.dtype, cache.dtype), grid: grid, threads: 128, fused.address,
                fused.kernelStride, Int32(heads.queryCount), Int32(heads.keyValueCount), Int32(heads.dimension),
                cache.keys(layer), cache.values(layer), cache.keyScales(layer), cache.valueScales(layer),
                Int32(cache.blockSize), tiles.address, batch.rowPositions, batch.blockTables,
                Int32(batch.tableWidth), scale, y.address, y.kernelStride, partial, Int32(attention.places))
        } else if cache.dtype == .q8_0 {
            try launch(
                KernelName(.attention, fused.dtype, .q8_0, sizes: attention.sizes), grid: grid, threads: 128,
                fused.address, fused.kernelStride, Int32(heads.queryCount), Int32(heads.keyValueCount),
                cache.keys(layer), cache.values(layer), cache.keyScales(layer), cache.valueScales(layer),
                Int32(cache.blockSize), tiles.address, batch.rowPositions, batch.blockTables,
                Int32(batch.tableWidth), scale, y.address, y.kernelStride, partial)
        } else {
            try launch(
                KernelName(.attention, fused.dtype, sizes: attention.sizes), grid: grid, threads: 128, fused.address,
                fused.kernelStride, Int32(heads.queryCount), Int32(heads.keyValueCount), cache.keys(layer),
                cache.values(layer), Int32(cache.blockSize), tiles.address, batch.rowPositions, batch.blockTables,
                Int32(batch.tableWidth), scale, y.address, y.kernelStride, partial)
        }
        guard splits > 1 else { return }
        try launch(
            KernelName(.attentionCombine, y.dtype), grid: (tiles.count, heads.queryCount, 1), threads: 128,
            tiles.address, Int32(heads.queryCount), Int32(heads.keyValueCount), Int32(heads.dimension), Int32(splits),
            Int32(attention.places), partial, y.address, y.kernelStride)
    }

    /// Parts that a context is cut into, so that `blocks` blocks of threads times these fill the device twice; none
    /// shorter than the tiles of four warps. What counts is the length of the tables, which changes seldom.
    private func splits(blocks: Int, positions: Int) -> Int {
        let wanted = (2 * device.multiprocessorCount + blocks - 1) / blocks
        return max(1, min(wanted, positions / 128, 64))
    }

    package func fullAttention(
        _ fused: Activation<Storage>, heads: AttentionHeads, queries: Range<Int>, into y: Activation<Storage>
    ) {
        precondition(fused.width == heads.fusedWidth, "fullAttention: shapes disagree")
        precondition(queries.upperBound <= fused.rows, "fullAttention: rows \(queries) of \(fused.rows)")
        precondition(heads.queryCount == heads.keyValueCount, "fullAttention: heads are not grouped")
        precondition(y.rows == queries.count && y.width == heads.queryWidth, "fullAttention: shapes disagree")
        precondition(heads.dimension <= Self.maximumHeadDimension, "heads of \(heads.dimension) dimensions")
        precondition(y.dtype == fused.dtype, "fullAttention: \(fused.dtype) into \(y.dtype)")
        let scale = 1 / Float(heads.dimension).squareRoot()
        let suits =
            fused.dtype != .f32 && Self.dimensions.contains(heads.dimension) && fused.hasWholeVectors
            && y.hasWholeVectors
        perform {
            guard suits else {
                return try launch(
                    KernelName(.fullAttentionPlain, fused.dtype), grid: (queries.count, heads.queryCount, 1),
                    threads: 128, fused.address, fused.kernelStride, Int32(heads.queryCount), Int32(heads.dimension),
                    Int32(fused.rows), Int32(queries.lowerBound), scale, y.address, y.kernelStride)
            }
            try launch(
                KernelName(.fullAttention, fused.dtype, sizes: (UInt8(heads.dimension), nil)),
                grid: ((queries.count + 127) / 128, heads.queryCount, 1), threads: 128, fused.address,
                fused.kernelStride, Int32(heads.queryCount), Int32(fused.rows), Int32(queries.lowerBound),
                Int32(queries.count), scale, y.address, y.kernelStride)
        }
    }
}
