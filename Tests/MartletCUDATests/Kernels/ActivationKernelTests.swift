import CMartletKernels
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletCUDA

/// Kernels of single elements: the CPU's bits, rounded once where the type is short, and nothing beside the rows.
@Suite struct ActivationKernelTests {
    static let shapes = [(rows: 1, width: 1), (3, 255), (2, 257), (5, 700)]

    @Test(arguments: DType.operands) func siluMultiply(_ dtype: DType) throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32), table = try ScalarKernels.table
            for (rows, width) in Self.shapes {
                let x = try StoredRows.random(dtype, rows: rows, width: 2 * width, stride: 2 * width + 3, scale: 20)
                let y = try StoredRows(dtype, rows: rows, width: width, stride: width + 5)
                var truth = [Float](repeating: 0, count: rows * width)
                table.silu_multiply(try x.values(), 2 * width, &truth, width, rows, width)
                let input = try x.on(gpu), output = try y.on(gpu)
                try gpu.launch(
                    KernelName(.siluMultiply, dtype), grid: ((width + 255) / 256, rows, 1), threads: 256,
                    input.address, Int32(x.stride), output.address, Int32(y.stride), Int32(width))
                #expect(try output.read() == y.with(truth).bytes, "[\(rows), \(width)]")
            }
        }
    }

    @Test func gelu() throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32), table = try ScalarKernels.table
            for (rows, width) in Self.shapes {
                let x = try StoredRows.random(.f32, rows: rows, width: width, stride: width + 2, scale: 9)
                var truth = try x.values()
                table.gelu(&truth, width, rows, width)
                let memory = try x.on(gpu)
                try gpu.launch(
                    KernelName(.gelu), grid: ((width + 255) / 256, rows, 1), threads: 256, memory.address,
                    Int32(x.stride), Int32(width))
                #expect(try memory.read() == x.with(truth).bytes, "[\(rows), \(width)]")
            }
        }
    }

    @Test func add() throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32)
            for (rows, width) in Self.shapes {
                let x = try StoredRows.random(.f32, rows: rows, width: width, stride: width + 2)
                let y = try StoredRows.random(.f32, rows: rows, width: width, stride: width + 1, seed: 2)
                let truth = try zip(x.values(), y.values()).map { $0 + $1 }
                let sum = try x.on(gpu), other = try y.on(gpu)
                try gpu.launch(
                    KernelName(.add), grid: ((width + 255) / 256, rows, 1), threads: 256, other.address,
                    Int32(y.stride), sum.address, Int32(x.stride), Int32(width))
                #expect(try sum.read() == x.with(truth).bytes, "[\(rows), \(width)]")
            }
        }
    }

    @Test(arguments: DType.operands) func addBias(_ dtype: DType) throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32)
            for (rows, width) in Self.shapes {
                let y = try StoredRows.random(dtype, rows: rows, width: width, stride: width + 4)
                var generator = SeededGenerator(seed: 3)
                let bias = generator.floats(width)
                let truth = try y.values().enumerated().map { $1 + bias[$0 % width] }
                let memory = try y.on(gpu), added = try DeviceValues(bias, on: gpu)
                try gpu.launch(
                    KernelName(.addBias, dtype), grid: ((width + 255) / 256, rows, 1), threads: 256, added.address,
                    memory.address, Int32(y.stride), Int32(width))
                #expect(try memory.read() == y.with(truth).bytes, "[\(rows), \(width)]")
            }
        }
    }

    /// Halves between two values, what overflows, subnormals and infinities, as the CPU rounds them.
    @Test(arguments: DType.operands) func conversions(_ dtype: DType) throws {
        let special: [Float] = [
            0, -0.0, 1, 1 + 0x1p-11, 1 + 0x3p-11, 1 + 0x1p-8, 1 + 0x3p-8, 65504, 65519.996, 65520, -70000, 3.4e38,
            -.infinity, .infinity, 0x1p-14, 0x1p-24, 0x1p-25, 0x1.8p-25, 0x1p-126, 0x1p-149, -0x1.fffffep127,
        ]
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32)
            for (rows, width) in Self.shapes {
                var generator = SeededGenerator(seed: UInt64(width))
                var values = generator.floats(rows * width, in: -100...100)
                values.replaceSubrange(0..<min(values.count, special.count), with: special.prefix(values.count))
                let x = try StoredRows(.f32, rows: rows, width: width, stride: width + 1, values: values)
                let y = try StoredRows(dtype, rows: rows, width: width, stride: width + 3)
                let wide = try x.on(gpu), short = try y.on(gpu)
                try gpu.launch(
                    KernelName(.narrow, dtype), grid: ((width + 255) / 256, rows, 1), threads: 256, wide.address,
                    Int32(x.stride), short.address, Int32(y.stride), Int32(width))
                #expect(try short.read() == y.with(values).bytes, "narrow [\(rows), \(width)]")
            }
            let nan = try DeviceValues([Float.nan], on: gpu)
            let short = try StoredRows(dtype, rows: 1, width: 1, stride: 1), memory = try short.on(gpu)
            try gpu.launch(
                KernelName(.narrow, dtype), grid: (1, 1, 1), threads: 256, nan.address, Int32(1), memory.address,
                Int32(1), Int32(1))
            #expect(try short.values(of: memory.read())[0].isNaN)
        }
    }
}
