import CCUDA
import MartletTensor

// MARK: - Rotary embedding

/// The constants of a rotary embedding on the device: [pairs] axes, then [pairs] frequencies.
struct RotaryFrequencies {
    let configuration: RotaryConfiguration
    let constants: CUDABackend.Vector

    var axes: CUdeviceptr { constants.address }
    var frequencies: CUdeviceptr { constants.address + UInt64(configuration.dimensions / 2 * 4) }
}

extension CUDABackend {
    package func rotaryTable(
        _ rotary: RotaryConfiguration, positions: RotaryPositions, into table: Activation<Storage>
    ) {
        precondition(table.rows == positions.count && table.width == rotary.dimensions, "rotaryTable: shapes disagree")
        precondition(positions.h.count == positions.count && positions.w.count == positions.count, "three axes a row")
        precondition(rotary.axis.allSatisfy { (0..<3).contains($0) }, "rotaryTable: no such axis")
        precondition(table.dtype == .f32, "rotaryTable: into f32")
        perform {
            let known = try frequencies(of: rotary)
            try launch(
                KernelName(.rotaryTable), grid: (table.rows, 1, 1), threads: 256,
                staging.put(positions.t + positions.h + positions.w), Int32(positions.count), known.axes,
                known.frequencies, Int32(rotary.dimensions / 2), table.address, table.kernelStride)
        }
    }

    /// A model has one or two of them.
    private func frequencies(of rotary: RotaryConfiguration) throws -> RotaryFrequencies {
        if let known = rotaries.first(where: { $0.configuration == rotary }) { return known }
        let constants = try Vector(count: rotary.dimensions, on: stream)
        let words = rotary.axis.map { UInt32($0) } + rotary.inverseFrequency.map(\.bitPattern)
        try staging.copy(words, to: constants.address)
        let made = RotaryFrequencies(configuration: rotary, constants: constants)
        rotaries.append(made)
        return made
    }

    package func rotate(
        _ x: Activation<Storage>, headCount: Int, dimension: Int, table: Activation<Storage>, pairing: RotaryPairing
    ) {
        precondition(x.rows == table.rows && headCount * dimension <= x.width, "rotate: shapes disagree")
        precondition(table.width <= dimension && table.width % 2 == 0, "rotate: table is wider than a head")
        perform {
            try launch(
                KernelName(.rotate, x.dtype), grid: (x.rows, 1, 1), threads: 256, x.address, x.kernelStride,
                Int32(headCount), Int32(dimension), table.address, table.kernelStride, Int32(table.width / 2),
                Int32(pairing == .interleaved ? 1 : 0))
        }
    }

    package func rotateAndStore(
        _ fused: Activation<Storage>, heads: AttentionHeads, table: Activation<Storage>, pairing: RotaryPairing,
        cache: KVCache, layer: Int, batch: AttentionBatch
    ) {
        precondition(fused.rows == batch.rowCount && fused.width == heads.fusedWidth, "rotateAndStore: shapes disagree")
        precondition(fused.rows == table.rows && table.width <= heads.dimension, "rotateAndStore: another table")
        cache.check(heads: heads, layer: layer)
        perform {
            let batch = try batches.stage(batch, for: cache, by: staging)
            try launch(
                KernelName(.rotateAndStore, fused.dtype, cache.dtype), grid: (fused.rows, 1, 1), threads: 256,
                fused.address, fused.kernelStride, Int32(heads.queryCount), Int32(heads.keyValueCount),
                Int32(heads.dimension), table.address, table.kernelStride, Int32(table.width / 2),
                Int32(pairing == .interleaved ? 1 : 0), cache.keys(layer), cache.values(layer), cache.keyScales(layer),
                cache.valueScales(layer), Int32(cache.blockSize), batch.rowSequences, batch.rowPositions,
                batch.blockTables, Int32(batch.tableWidth))
        }
    }
}
