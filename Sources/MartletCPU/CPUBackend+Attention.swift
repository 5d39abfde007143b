import CMartletKernels
import MartletTensor

// MARK: - Attention

extension CPUBackend {
    package func attention(
        _ fused: Activation<Storage>, heads: AttentionHeads, cache: KVCache, layer: Int, batch: AttentionBatch,
        into y: Activation<Storage>
    ) {
        precondition(fused.rows == batch.rowCount && fused.width == heads.fusedWidth, "attention: shapes disagree")
        precondition(y.rows == fused.rows && y.width == heads.queryWidth, "attention: shapes disagree")
        cache.check(heads: heads, layer: layer, batch: batch)
        let units = attentionUnits(batch, heads: heads)
        pool.parallel(units.count) { index in
            // Later rows attend to more: the dearest units go first.
            let unit = units[units.count - 1 - index]
            let segment = batch.segments[unit.segment]
            segment.blocks.withUnsafeBufferPointer { blocks in
                guard let blocks = blocks.baseAddress else { return }
                let first = unit.rows.lowerBound
                let query = unit.queryHeads.lowerBound * heads.dimension
                attend(
                    martlet_attention(
                        queries: fused.row(first) + query, query_stride: fused.stride, output: y.row(first) + query,
                        output_stride: y.stride, rows: unit.rows.count, heads: unit.queryHeads.count,
                        dimension: heads.dimension, positions: segment.start + first - segment.rows.lowerBound + 1,
                        causal: true, scale: scale(heads), dtype: cache.dtype.kernelType,
                        keys: cache.key(layer: layer, block: 0, head: unit.keyValueHead, slot: 0),
                        values: cache.value(layer: layer, block: 0, head: unit.keyValueHead, slot: 0),
                        blocks: blocks, block_size: cache.blockSize, block_bytes: cache.blockBytes, key_stride: 1,
                        key_dimension_stride: cache.blockSize, value_stride: heads.dimension,
                        key_scales: cache.keyScale(layer: layer, block: 0, head: unit.keyValueHead, slot: 0),
                        value_scales: cache.valueScale(layer: layer, block: 0, head: unit.keyValueHead, slot: 0)))
            }
        }
    }

    package func fullAttention(
        _ fused: Activation<Storage>, heads: AttentionHeads, queries: Range<Int>, into y: Activation<Storage>
    ) {
        precondition(fused.width == heads.fusedWidth, "fullAttention: shapes disagree")
        precondition(queries.upperBound <= fused.rows, "fullAttention: rows \(queries) of \(fused.rows)")
        precondition(heads.queryCount == heads.keyValueCount, "fullAttention: heads are not grouped")
        precondition(y.rows == queries.count && y.width == heads.queryWidth, "fullAttention: shapes disagree")
        let headElements = tileCount(fused.rows) * martlet_short_tile(heads.dimension)
        if activations == .bf16, heads.dimension % 16 == 0, headElements <= 2 * workspace.count {
            shortAttention(fused, heads: heads, queries: queries, headElements: headElements, into: y)
        } else {
            exactAttention(fused, heads: heads, queries: queries, into: y)
        }
    }

    private func exactAttention(
        _ fused: Activation<Storage>, heads: AttentionHeads, queries: Range<Int>, into y: Activation<Storage>
    ) {
        let grain = Int(MARTLET_ATTENTION_QUERIES)
        let blocksOfRows = (queries.count + grain - 1) / grain
        // The image is one block that holds all positions.
        withUnsafePointer(to: Int32(0)) { block in
            pool.parallel(blocksOfRows * heads.queryCount) { index in
                let first = index / heads.queryCount * grain
                let offset = index % heads.queryCount * heads.dimension
                let keys = fused.start + heads.queryWidth + offset
                attend(
                    martlet_attention(
                        queries: fused.row(queries.lowerBound + first) + offset, query_stride: fused.stride,
                        output: y.row(first) + offset, output_stride: y.stride,
                        rows: min(grain, queries.count - first), heads: 1, dimension: heads.dimension,
                        positions: fused.rows, causal: false, scale: scale(heads), dtype: MARTLET_F32, keys: keys,
                        values: keys + heads.keyValueWidth, blocks: block, block_size: fused.rows, block_bytes: 0,
                        key_stride: fused.stride, key_dimension_stride: 1, value_stride: fused.stride,
                        key_scales: nil, value_scales: nil))
            }
        }
    }

    /// Tiles of keys and values that an image of `rows` patches takes.
    private func tileCount(_ rows: Int) -> Int { (rows + Int(MARTLET_SHORT_TILE) - 1) / Int(MARTLET_SHORT_TILE) }

    /// With everything rounded to bf16 that is multiplied: as many heads at a time as the workspace holds of
    /// `headElements` each.
    private func shortAttention(
        _ fused: Activation<Storage>, heads: AttentionHeads, queries: Range<Int>, headElements: Int,
        into y: Activation<Storage>
    ) {
        let (table, dimension, tiles) = (kernels.table, heads.dimension, tileCount(fused.rows))
        let room = 2 * workspace.count / headElements
        let packed = UnsafeMutableRawPointer(workspace.start)
            .bindMemory(to: UInt16.self, capacity: min(room, heads.queryCount) * headElements)
        let (tile, grain) = (Int(MARTLET_SHORT_TILE), Int(MARTLET_SHORT_QUERIES))
        let blocksOfRows = (queries.count + grain - 1) / grain
        for first in stride(from: 0, to: heads.queryCount, by: room) {
            let some = min(room, heads.queryCount - first)
            pool.parallel(some * tiles) { index in
                let (head, row) = (index / tiles, index % tiles * tile)
                let keys = fused.row(row) + heads.queryWidth + (first + head) * dimension
                table.pointee.pack_tile(
                    keys, keys + heads.keyValueWidth, fused.stride, min(tile, fused.rows - row), dimension,
                    packed + head * headElements + index % tiles * martlet_short_tile(dimension))
            }
            pool.parallel(some * blocksOfRows) { index in
                let (head, row) = (index % some, index / some * grain)
                let offset = (first + head) * dimension
                var attention = martlet_short_attention(
                    queries: fused.row(queries.lowerBound + row) + offset, query_stride: fused.stride,
                    output: y.row(row) + offset, output_stride: y.stride, rows: min(grain, queries.count - row),
                    dimension: dimension, positions: fused.rows, scale: scale(heads),
                    tiles: packed + head * headElements)
                withUnsafeTemporaryAllocation(of: UInt16.self, capacity: martlet_short_scratch(dimension)) { scratch in
                    guard let scratch = scratch.baseAddress else { return }
                    table.pointee.short_attention(&attention, scratch)
                }
            }
        }
    }

    private func scale(_ heads: AttentionHeads) -> Float { 1 / Float(heads.dimension).squareRoot() }

    private func attend(_ attention: martlet_attention) {
        let capacity = martlet_attention_scratch(attention.dimension)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: capacity) { scratch in
            guard let scratch = scratch.baseAddress else { return }
            withUnsafePointer(to: attention) { kernels.table.pointee.attention($0, scratch) }
        }
    }

    /// What one thread does at a time: some rows of one sequence, some query heads of one key/value head.
    private struct AttentionUnit {
        var segment: Int
        var rows: Range<Int>
        var keyValueHead: Int
        var queryHeads: Range<Int>
    }

    /// Cuts a batch into units. How it is cut changes no bit of the result.
    private func attentionUnits(_ batch: AttentionBatch, heads: AttentionHeads) -> [AttentionUnit] {
        let group = heads.queryCount / heads.keyValueCount
        let grain = max(1, Int(MARTLET_ATTENTION_QUERIES) / group)
        let rowBlocks = batch.segments.reduce(0) { $0 + ($1.rows.count + grain - 1) / grain }
        // A short batch does not occupy all threads with whole groups: split them, though they share their keys.
        var headGrain = group
        while headGrain > 4, rowBlocks * heads.keyValueCount * (group / headGrain) < pool.threadCount { headGrain /= 2 }
        var units: [AttentionUnit] = []
        for (index, segment) in batch.segments.enumerated() {
            for first in stride(from: segment.rows.lowerBound, to: segment.rows.upperBound, by: grain) {
                let rows = first..<min(first + grain, segment.rows.upperBound)
                for head in 0..<heads.keyValueCount {
                    for query in stride(from: 0, to: group, by: headGrain) {
                        let queryHeads = head * group + query..<head * group + min(query + headGrain, group)
                        units.append(
                            AttentionUnit(segment: index, rows: rows, keyValueHead: head, queryHeads: queryHeads))
                    }
                }
            }
        }
        return units
    }
}
