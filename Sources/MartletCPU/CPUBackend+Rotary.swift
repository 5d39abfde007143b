import CMartletKernels
import MartletTensor

// MARK: - Rotary embedding

extension CPUBackend {
    package func rotaryTable(
        _ rotary: RotaryConfiguration, positions: RotaryPositions, into table: Activation<Storage>
    ) {
        precondition(table.rows == positions.count && table.width == rotary.dimensions, "rotaryTable: shapes disagree")
        precondition(positions.h.count == positions.count && positions.w.count == positions.count, "three axes a row")
        precondition(rotary.axis.allSatisfy { (0..<3).contains($0) }, "rotaryTable: no such axis")
        let axis = rotary.axis.map(Int32.init)
        axis.withUnsafeBufferPointer { axis in
            rotary.inverseFrequency.withUnsafeBufferPointer { frequencies in
                positions.t.withUnsafeBufferPointer { t in
                    positions.h.withUnsafeBufferPointer { h in
                        positions.w.withUnsafeBufferPointer { w in
                            fill(table, axis: axis, frequencies: frequencies, t: t, h: h, w: w)
                        }
                    }
                }
            }
        }
    }

    private func fill(
        _ table: Activation<Storage>, axis: UnsafeBufferPointer<Int32>, frequencies: UnsafeBufferPointer<Float>,
        t: UnsafeBufferPointer<Int32>, h: UnsafeBufferPointer<Int32>, w: UnsafeBufferPointer<Int32>
    ) {
        guard let axis = axis.baseAddress, let frequency = frequencies.baseAddress, let t = t.baseAddress,
            let h = h.baseAddress, let w = w.baseAddress
        else { return }
        let pairs = frequencies.count
        // A sine costs as much as a dozen cheaper elements.
        parallelRows(table.rows, width: 12 * table.width) { rows in
            let first = rows.lowerBound
            var source = martlet_rotary(
                positions: (t + first, h + first, w + first), axis: axis, inverse_frequency: frequency, pairs: pairs)
            kernels.table.pointee.rotary_table(&source, table.row(first), table.stride, rows.count)
        }
    }

    package func rotate(
        _ x: Activation<Storage>, headCount: Int, dimension: Int, table: Activation<Storage>, pairing: RotaryPairing
    ) {
        precondition(x.rows == table.rows && headCount * dimension <= x.width, "rotate: shapes disagree")
        precondition(table.width <= dimension && table.width % 2 == 0, "rotate: table is wider than a head")
        parallelRows(x.rows, width: headCount * table.width) { rows in
            rotate(x, rows, headCount: headCount, dimension: dimension, table: table, pairing: pairing)
        }
    }

    package func rotateAndStore(
        _ fused: Activation<Storage>, heads: AttentionHeads, table: Activation<Storage>, pairing: RotaryPairing,
        cache: KVCache, layer: Int, batch: AttentionBatch
    ) {
        precondition(fused.rows == batch.rowCount && fused.width == heads.fusedWidth, "rotateAndStore: shapes disagree")
        precondition(fused.rows == table.rows && table.width <= heads.dimension, "rotateAndStore: another table")
        cache.check(heads: heads, layer: layer, batch: batch)
        // Queries and keys lie side by side: one call turns both.
        let headCount = heads.queryCount + heads.keyValueCount
        for segment in batch.segments {
            parallelRows(segment.rows.count, width: fused.width) { range in
                let rows = segment.rows.lowerBound + range.lowerBound..<segment.rows.lowerBound + range.upperBound
                rotate(fused, rows, headCount: headCount, dimension: heads.dimension, table: table, pairing: pairing)
                for row in rows {
                    let position = segment.start + row - segment.rows.lowerBound
                    store(fused.row(row) + heads.queryWidth, cache: cache, layer: layer, position: position, segment)
                }
            }
        }
    }

    private func rotate(
        _ x: Activation<Storage>, _ rows: Range<Int>, headCount: Int, dimension: Int, table: Activation<Storage>,
        pairing: RotaryPairing
    ) {
        kernels.table.pointee.rotate(
            x.row(rows.lowerBound), x.stride, headCount, dimension, table.row(rows.lowerBound), table.stride,
            table.width / 2, pairing == .interleaved, rows.count)
    }

    /// Stores one row's [key heads | value heads].
    private func store(
        _ row: UnsafePointer<Float>, cache: KVCache, layer: Int, position: Int, _ segment: AttentionBatch.Segment
    ) {
        let (index, slot) = position.quotientAndRemainder(dividingBy: cache.blockSize)
        let block = Int(segment.blocks[index])
        let dimension = cache.heads.dimension
        for head in 0..<cache.heads.keyValueCount {
            let key = row + head * dimension
            let value = key + cache.heads.keyValueWidth
            if let keyScale = cache.keyScale(layer: layer, block: block, head: head, slot: slot),
                let valueScale = cache.valueScale(layer: layer, block: block, head: head, slot: slot)
            {
                let keys = cache.key(layer: layer, block: block, head: head, slot: slot)
                let values = cache.value(layer: layer, block: block, head: head, slot: slot)
                keyScale.pointee = kernels.table.pointee.store_int8(
                    key, keys.assumingMemoryBound(to: Int8.self), cache.blockSize, dimension)
                valueScale.pointee = kernels.table.pointee.store_int8(
                    value, values.assumingMemoryBound(to: Int8.self), 1, dimension)
                continue
            }
            kernels.table.pointee.store(
                cache.dtype.kernelType, key, cache.key(layer: layer, block: block, head: head, slot: slot),
                cache.blockSize, dimension)
            kernels.table.pointee.store(
                cache.dtype.kernelType, value, cache.value(layer: layer, block: block, head: head, slot: slot), 1,
                dimension)
        }
    }
}
