import CMartletKernels
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletCPU
@testable import MartletCUDA

/// Weights of every format as kernels read them, alone: values with the CPU's bits, products within 1e-6 of the
/// magnitudes that they sum, whatever the shape, and no output that depends on the rows beside its own.
@Suite struct ProductKernelTests {
    /// A matrix on the GPU, as `BlockPlanes` lays it out, and its values.
    private struct Weight {
        let values: [Float]
        let memory: DeviceValues<UInt8>
        let rows, columns: Int

        init(_ dtype: DType, rows: Int, columns: Int, on gpu: CUDABackend) throws {
            let stored = StoredTensor("w", dtype: dtype, rows: rows, columns: columns)
            (self.rows, self.columns) = (rows, columns)
            values = stored.values
            let planes = try #require(BlockPlanes(dtype, rows: rows, columns: columns))
            var bytes = [UInt8](repeating: 0xFF, count: planes.byteCount)
            bytes.withUnsafeMutableBytes { bytes in
                stored.bytes.withUnsafeBytes { from in
                    guard let to = bytes.baseAddress, let from = from.baseAddress else { return }
                    for row in 0..<rows { planes.scatter(from + row * stored.info.rowBytes, row: row, into: to) }
                }
            }
            memory = try DeviceValues(bytes, on: gpu)
        }
    }

    /// Columns that fill no strip of 128, and outputs that fill no tile.
    private static func shapes(_ dtype: DType, grain: Int) -> [(outputs: Int, columns: Int)] {
        let block = dtype.blockElements
        return block == 256
            ? [(1, 256), (17, 768), (37, 2304)]
            : [(1, max(block, grain)), (17, max(block, grain) * 3), (37, 1120 + (block == 1 ? grain : 0)), (9, 4096)]
    }

    /// x W^T + bias in doubles, and the sum of the magnitudes.
    private func expectProducts(
        _ found: [Float], _ weight: Weight, _ x: [Float], _ bias: [Float]?, rounding: Double, _ what: String
    ) {
        var worst = 0.0
        for row in 0..<x.count / weight.columns {
            for output in 0..<weight.rows {
                var sum = bias.map { Double($0[output]) } ?? 0
                var size = abs(sum)
                for column in 0..<weight.columns {
                    let term = Double(x[row * weight.columns + column])
                        * Double(weight.values[output * weight.columns + column])
                    sum += term
                    size += abs(term)
                }
                let error = abs(Double(found[row * weight.rows + output]) - sum) - abs(sum) * rounding
                worst = error.isNaN ? .infinity : max(worst, error / size)
            }
        }
        #expect(worst <= 1e-6, "\(what)")
    }

    /// Runs one of the product kernels; y: [rows, outputs] of f32 or of operands.
    private func multiply(
        _ name: KernelName, _ weight: Weight, _ x: StoredRows, bias: [Float]?, into y: StoredRows, tile: (Int, Int),
        on gpu: CUDABackend
    ) throws -> [UInt8] {
        let input = try x.on(gpu), output = try y.on(gpu)
        let added = try bias.map { try DeviceValues($0, on: gpu) }
        try gpu.launch(
            name, grid: ((x.rows + tile.0 - 1) / tile.0, (weight.rows + tile.1 - 1) / tile.1, 1), threads: 256,
            weight.memory.address, Int32(weight.rows), Int32(weight.columns), input.address, Int32(x.stride),
            Int32(x.rows), added?.address ?? 0, output.address, Int32(y.stride), Int32(y.dtype == .f32 ? 0 : 1))
        return try output.read()
    }

    @Test(arguments: [DType.f16, .bf16], DType.allCases.filter { $0 != .f32 })
    func tensorCores(_ type: DType, _ dtype: DType) throws {
        guard dtype.isQuantized || dtype == type else { return }
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32)
            for (outputs, columns) in Self.shapes(dtype, grain: 8) {
                let weight = try Weight(dtype, rows: outputs, columns: columns, on: gpu)
                var generator = SeededGenerator(seed: 9)
                let bias = generator.floats(outputs)
                let rows = columns > 2000 ? 9 : 41
                let x = try StoredRows.random(type, rows: rows, width: columns, stride: columns + 8)
                let y = try StoredRows(.f32, rows: rows, width: outputs, stride: outputs + 3)
                let eights = KernelName(.multiply, dtype, type, sizes: (8, nil))
                let wide = try multiply(eights, weight, x, bias: bias, into: y, tile: (8, 16), on: gpu)
                let what = "[\(outputs), \(columns)]"
                expectProducts(try y.values(of: wide), weight, try x.values(), bias, rounding: 0, what)
                #expect(try y.with(try y.values(of: wide)).bytes == wide, "beside the rows of \(what)")
                let many = KernelName(.multiply, dtype, type, sizes: (32, nil))
                #expect(try multiply(many, weight, x, bias: bias, into: y, tile: (32, 32), on: gpu) == wide)
                // One row alone, without a bias, as an operand.
                let last = try x.values().suffix(columns)
                let one = try StoredRows(type, rows: 1, width: columns, stride: columns, values: Array(last))
                let single = try StoredRows(.f32, rows: 1, width: outputs, stride: outputs)
                let alone = try multiply(eights, weight, one, bias: bias, into: single, tile: (8, 16), on: gpu)
                #expect(try single.values(of: alone) == y.values(of: wide).suffix(outputs), "alone, \(what)")
                let short = try StoredRows(type, rows: 1, width: outputs, stride: outputs)
                let operand = try multiply(eights, weight, one, bias: bias, into: short, tile: (8, 16), on: gpu)
                #expect(try operand == short.with(single.values(of: alone)).bytes, "rounded, \(what)")
                let bare = try multiply(eights, weight, one, bias: nil, into: single, tile: (8, 16), on: gpu)
                expectProducts(try single.values(of: bare), weight, Array(last), nil, rounding: 0, "bare, \(what)")
            }
        }
    }

    /// The gates and ups of `multiply`, to the bit, and the CPU's SiLU.
    @Test(arguments: [DType.f16, .bf16], DType.allCases.filter { $0 != .f32 })
    func gated(_ type: DType, _ dtype: DType) throws {
        guard dtype.isQuantized || dtype == type else { return }
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32), scalar = try ScalarKernels.table
            for (outputs, columns) in Self.shapes(dtype, grain: 8) {
                let weight = try Weight(dtype, rows: 2 * outputs, columns: columns, on: gpu)
                let x = try StoredRows.random(type, rows: 11, width: columns, stride: columns + 8)
                let gateUp = try StoredRows(.f32, rows: 11, width: 2 * outputs, stride: 2 * outputs)
                let name = KernelName(.multiply, dtype, type, sizes: (8, nil))
                let sums = try gateUp.values(
                    of: multiply(name, weight, x, bias: nil, into: gateUp, tile: (8, 16), on: gpu))
                var truth = [Float](repeating: 0, count: 11 * outputs)
                scalar.silu_multiply(sums, 2 * outputs, &truth, outputs, 11, outputs)
                let y = try StoredRows(type, rows: 11, width: outputs, stride: outputs + 3)
                let input = try x.on(gpu), output = try y.on(gpu)
                try gpu.launch(
                    KernelName(.multiplyGated, dtype, type), grid: (2, (outputs + 15) / 16, 1), threads: 256,
                    weight.memory.address, Int32(outputs), Int32(columns), input.address, Int32(x.stride), Int32(11),
                    output.address, Int32(y.stride))
                #expect(try output.read() == y.with(truth).bytes, "[\(outputs), \(columns)]")
            }
        }
    }

    @Test(arguments: DType.operands, DType.allCases) func anyShape(_ type: DType, _ dtype: DType) throws {
        guard dtype.isQuantized || dtype == type || type == .f32 else { return }
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32)
            for (outputs, columns) in Self.shapes(dtype, grain: 1) {
                let weight = try Weight(dtype, rows: outputs, columns: columns, on: gpu)
                let x = try StoredRows.random(type, rows: 11, width: columns, stride: columns + 3)
                let y = try StoredRows(.f32, rows: 11, width: outputs, stride: outputs + 2)
                let name = KernelName(.multiplyPlain, dtype, type)
                let found = try multiply(name, weight, x, bias: nil, into: y, tile: (8, 8), on: gpu)
                let what = "[\(outputs), \(columns)]"
                expectProducts(try y.values(of: found), weight, try x.values(), nil, rounding: 0, what)
                #expect(try y.with(try y.values(of: found)).bytes == found, "beside the rows of \(what)")
            }
        }
    }

    @Test(arguments: DType.operands, DType.allCases) func dequantized(_ type: DType, _ dtype: DType) throws {
        guard dtype.isQuantized || (type == .f32 && dtype != .f32) else { return }
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32)
            let columns = 3 * max(dtype.blockElements, 8), first = 2, count = 4
            let weight = try Weight(dtype, rows: 7, columns: columns, on: gpu)
            let y = try StoredRows(type, rows: count, width: columns, stride: columns)
            let memory = try y.on(gpu)
            try gpu.launch(
                KernelName(.dequantize, dtype, type), grid: (count, 1, 1), threads: 256, weight.memory.address,
                Int32(7), Int32(columns), Int32(first), memory.address)
            let truth = weight.values[first * columns..<(first + count) * columns]
            #expect(try memory.read() == y.with(Array(truth)).bytes)
        }
    }

    @Test(arguments: DType.allCases) func embeddings(_ dtype: DType) throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32)
            let columns = dtype.isQuantized ? 3 * dtype.blockElements : 37
            let weight = try Weight(dtype, rows: 7, columns: columns, on: gpu)
            // Tokens below 0 stand for kept ones, of which the second is none.
            let tokens: [Int32] = [3, 9, 10, 2, -1, 5, -2, -3], kept: [Int32] = [4, -1, 9]
            let y = try StoredRows(.f32, rows: tokens.count, width: columns, stride: columns + 2)
            let ids = try DeviceValues(tokens, on: gpu), places = try DeviceValues(kept, on: gpu)
            let memory = try y.on(gpu)
            try gpu.launch(
                KernelName(.embed, dtype), grid: (tokens.count, 1, 1), threads: 256, ids.address, places.address,
                Int32(3), Int32(7), weight.memory.address, Int32(columns), memory.address, Int32(y.stride))
            let truth = tokens.flatMap { token -> [Float] in
                let row = Int(token < 0 ? kept[Int(-1 - token)] : token) - 3
                guard (0..<7).contains(row) else { return [Float](repeating: 0, count: columns) }
                return Array(weight.values[row * columns..<(row + 1) * columns])
            }
            #expect(try memory.read() == y.with(truth).bytes)
        }
    }

    @Test func copiedRows() throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32)
            let x = try StoredRows.random(.f32, rows: 7, width: 300, stride: 302)
            let y = try StoredRows.random(.f32, rows: 9, width: 300, stride: 301, seed: 2)
            let sources: [Int32] = [6, 0, 3], targets: [Int32] = [1, 8, 0]
            var truth = try y.values()
            for (source, target) in zip(sources, targets) {
                let row = try x.values()[300 * Int(source)..<300 * Int(source) + 300]
                truth.replaceSubrange(300 * Int(target)..<300 * Int(target) + 300, with: row)
            }
            let from = try x.on(gpu), to = try y.on(gpu)
            let sourceRows = try DeviceValues(sources, on: gpu), targetRows = try DeviceValues(targets, on: gpu)
            try gpu.launch(
                KernelName(.copyRows), grid: (sources.count, 1, 1), threads: 256, sourceRows.address,
                targetRows.address, from.address, Int32(x.stride), to.address, Int32(y.stride), Int32(300))
            #expect(try to.read() == y.with(truth).bytes)
        }
    }
}
