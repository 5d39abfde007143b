import CMartletKernels
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletCPU
@testable import MartletCUDA

/// Rotations and the cache's contents with the CPU's bits.
@Suite struct RotaryKernelTests {
    /// A table of `pairs` angles for `rows` positions on three axes.
    private struct Angles {
        let positions: [Int32], axis: [Int32], frequencies: [Float]
        /// [rows, 2 * pairs].
        let table: [Float]

        init(rows: Int, pairs: Int) throws {
            let axes = (0..<3).map { axis in (0..<rows).map { Int32(($0 * 7919 + axis * 13) % 65536) } }
            let axis = (0..<pairs).map { Int32($0 % 3) }
            let frequencies = RotaryConfiguration.inverseFrequencies(theta: 10000, dimensions: 2 * pairs)
            var table = [Float](repeating: 0, count: rows * 2 * pairs)
            let scalar = try ScalarKernels.table
            axes[0].withUnsafeBufferPointer { t in
                axes[1].withUnsafeBufferPointer { h in
                    axes[2].withUnsafeBufferPointer { w in
                        axis.withUnsafeBufferPointer { axis in
                            frequencies.withUnsafeBufferPointer { frequencies in
                                guard let t = t.baseAddress, let h = h.baseAddress, let w = w.baseAddress,
                                    let axis = axis.baseAddress, let frequency = frequencies.baseAddress
                                else { return }
                                var rotary = martlet_rotary(
                                    positions: (t, h, w), axis: axis, inverse_frequency: frequency, pairs: pairs)
                                scalar.rotary_table(&rotary, &table, 2 * pairs, rows)
                            }
                        }
                    }
                }
            }
            positions = axes.flatMap { $0 }
            (self.axis, self.frequencies, self.table) = (axis, frequencies, table)
        }
    }

    @Test func tables() throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32)
            for (rows, pairs) in [(1, 1), (3, 32), (2, 300)] {
                let angles = try Angles(rows: rows, pairs: pairs)
                let table = try StoredRows(.f32, rows: rows, width: 2 * pairs, stride: 2 * pairs + 1)
                let positions = try DeviceValues(angles.positions, on: gpu)
                let axis = try DeviceValues(angles.axis, on: gpu)
                let frequencies = try DeviceValues(angles.frequencies, on: gpu), output = try table.on(gpu)
                try gpu.launch(
                    KernelName(.rotaryTable), grid: (rows, 1, 1), threads: 256, positions.address, Int32(rows),
                    axis.address, frequencies.address, Int32(pairs), output.address, Int32(table.stride))
                #expect(try output.read() == table.with(angles.table).bytes, "[\(rows), \(pairs)]")
            }
        }
    }

    @Test(arguments: DType.operands, [true, false]) func rotations(_ dtype: DType, _ interleaved: Bool) throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32), scalar = try ScalarKernels.table
            for (rows, heads, dimension, pairs) in [(1, 1, 2, 1), (3, 5, 24, 12), (2, 34, 16, 3)] {
                let angles = try Angles(rows: rows, pairs: pairs)
                let width = heads * dimension + 7
                let x = try StoredRows.random(dtype, rows: rows, width: width, stride: width + 2)
                var truth = try x.values()
                scalar.rotate(
                    &truth, width, heads, dimension, angles.table, 2 * pairs, pairs, interleaved, rows)
                let memory = try x.on(gpu), table = try DeviceValues(angles.table, on: gpu)
                try gpu.launch(
                    KernelName(.rotate, dtype), grid: (rows, 1, 1), threads: 256, memory.address, Int32(x.stride),
                    Int32(heads), Int32(dimension), table.address, Int32(2 * pairs), Int32(pairs),
                    Int32(interleaved ? 1 : 0))
                #expect(try memory.read() == x.with(truth).bytes, "\(heads) heads of \(dimension)")
            }
        }
    }

    /// Cache types, q8_0 for signed bytes with a scale a head.
    @Test(arguments: DType.operands, [DType.f32, .f16, .bf16, .q8_0])
    func rotatedAndStored(_ dtype: DType, _ cacheType: DType) throws {
        try EmulatedGPUs.run { gpus in
            for interleaved in [true, false] {
                try store(on: try gpus.backend(.f32), dtype, cacheType, interleaved)
            }
        }
    }

    private static let rows = 5, queryHeads = 6, heads = 2, dimension = 20, pairs = 5, blockSize = 3, blockCount = 4
    private static let sequences: [Int32] = [0, 0, 1, 1, 0], positions: [Int32] = [2, 3, 0, 5, 4]
    private static let tables: [Int32] = [3, 1, 0, 2]

    private func store(on gpu: CUDABackend, _ dtype: DType, _ cacheType: DType, _ interleaved: Bool) throws {
        let scalar = try ScalarKernels.table
        let angles = try Angles(rows: Self.rows, pairs: Self.pairs)
        let width = (Self.queryHeads + 2 * Self.heads) * Self.dimension
        var values = try StoredRows.random(dtype, rows: Self.rows, width: width, stride: width).values()
        // A head of zeros, and one that is not finite, in the last row's values.
        for i in 0..<Self.dimension { values[values.count - 1 - i] = i == 3 ? .infinity : 1 }
        for i in 0..<Self.dimension { values[values.count - 1 - Self.dimension - i] = 0 }
        let fused = try StoredRows(dtype, rows: Self.rows, width: width, stride: width + 3, values: values)
        var rotated = try fused.values()
        scalar.rotate(
            &rotated, width, Self.queryHeads + Self.heads, Self.dimension, angles.table, 2 * Self.pairs, Self.pairs,
            interleaved, Self.rows)
        let after = try fused.with(rotated)
        let truth = try Cache(of: after, as: cacheType, scalar)
        let empty = Cache(cacheType)
        let memory = try fused.on(gpu), table = try DeviceValues(angles.table, on: gpu)
        let keys = try DeviceValues(empty.keys, on: gpu), values8 = try DeviceValues(empty.values, on: gpu)
        let keyScales = try DeviceValues(empty.keyScales, on: gpu)
        let valueScales = try DeviceValues(empty.valueScales, on: gpu)
        let sequences = try DeviceValues(Self.sequences, on: gpu), positions = try DeviceValues(Self.positions, on: gpu)
        let tables = try DeviceValues(Self.tables, on: gpu)
        try gpu.launch(
            KernelName(.rotateAndStore, dtype, cacheType), grid: (Self.rows, 1, 1), threads: 256, memory.address,
            Int32(fused.stride), Int32(Self.queryHeads), Int32(Self.heads), Int32(Self.dimension), table.address,
            Int32(2 * Self.pairs), Int32(Self.pairs), Int32(interleaved ? 1 : 0), keys.address, values8.address,
            keyScales.address, valueScales.address, Int32(Self.blockSize), sequences.address, positions.address,
            tables.address, Int32(2))
        #expect(try memory.read() == after.bytes)
        #expect(try keys.read() == truth.keys)
        #expect(try values8.read() == truth.values)
        #expect(try keyScales.read().map(\.withoutPayload) == truth.keyScales.map(\.withoutPayload))
        #expect(try valueScales.read().map(\.withoutPayload) == truth.valueScales.map(\.withoutPayload))
    }

    /// [block][head][slot][dimension] and scales, what nobody stores as it was.
    private struct Cache {
        var keys, values: [UInt8]
        var keyScales, valueScales: [Float]

        init(_ dtype: DType) {
            let slots = blockCount * heads * blockSize
            let bytes = slots * dimension * (dtype.isQuantized ? 1 : dtype.blockBytes)
            keys = [UInt8](repeating: 0x77, count: bytes)
            values = keys
            keyScales = [Float](repeating: 7, count: slots)
            valueScales = keyScales
        }

        /// By the CPU's kernels, of rows that are rotated.
        init(of fused: StoredRows, as dtype: DType, _ scalar: martlet_kernel_table) throws {
            self.init(dtype)
            let rows = try fused.values()
            for row in 0..<RotaryKernelTests.rows {
                let position = Int(positions[row])
                let block = Int(tables[2 * Int(sequences[row]) + position / blockSize])
                for head in 0..<heads {
                    let slot = (block * heads + head) * blockSize + position % blockSize
                    let key = row * fused.width + (queryHeads + head) * dimension
                    Self.store(rows, key, dtype, scalar, &keys, &keyScales, slot)
                    Self.store(rows, key + heads * dimension, dtype, scalar, &values, &valueScales, slot)
                }
            }
        }

        private static func store(
            _ rows: [Float], _ first: Int, _ dtype: DType, _ scalar: martlet_kernel_table, _ cache: inout [UInt8],
            _ scales: inout [Float], _ slot: Int
        ) {
            rows.withUnsafeBufferPointer { rows in
                cache.withUnsafeMutableBytes { cache in
                    guard let source = rows.baseAddress, let target = cache.baseAddress else { return }
                    if dtype.isQuantized {
                        let place = (target + slot * dimension).assumingMemoryBound(to: Int8.self)
                        scales[slot] = scalar.store_int8(source + first, place, 1, dimension)
                    } else {
                        let place = target + slot * dimension * dtype.blockBytes
                        scalar.store(dtype.kernelType, source + first, place, 1, dimension)
                    }
                }
            }
        }
    }
}

extension Float {
    /// Its bits, those of every NaN alike.
    fileprivate var withoutPayload: UInt32 { isNaN ? Float.nan.bitPattern : bitPattern }
}
