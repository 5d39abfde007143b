import CMartletKernels
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletCUDA

/// Norms within 1e-6 of the CPU's, whose sums run in another order; a short type adds its own rounding.
@Suite struct NormalizationKernelTests {
    static let shapes = [(rows: 1, width: 1), (2, 31), (3, 256), (2, 1000), (1, 4096)]
    private static let epsilon: Float = 1e-5

    private func expectNear(
        _ rows: StoredRows, _ found: [UInt8], _ truth: [Float], _ location: SourceLocation = #_sourceLocation
    ) throws {
        let rounding: Float = rows.dtype == .f32 ? 0 : rows.dtype == .f16 ? 0x1p-11 : 0x1p-8
        let values = try rows.values(of: found)
        let worst = zip(values, truth).map { abs($0 - $1) - abs($1) * rounding }.max() ?? 0
        #expect(worst <= 1e-6 * (truth.map(abs).max() ?? 0), sourceLocation: location)
        // Beside the rows nothing changes.
        #expect(try rows.with(values).bytes == found, sourceLocation: location)
    }

    @Test(arguments: DType.operands) func rmsNorm(_ dtype: DType) throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32), table = try ScalarKernels.table
            for (rows, width) in Self.shapes {
                let x = try StoredRows.random(.f32, rows: rows, width: width, stride: width + 3, scale: 4)
                let y = try StoredRows(dtype, rows: rows, width: width, stride: width + 1)
                let weight = try StoredRows.random(.f32, rows: 1, width: width, stride: width, seed: 2)
                var truth = [Float](repeating: 0, count: rows * width)
                table.rms_norm(try x.values(), width, try weight.values(), Self.epsilon, &truth, width, rows, width)
                let input = try x.on(gpu), factors = try weight.on(gpu), output = try y.on(gpu)
                try gpu.launch(
                    KernelName(.rmsNorm, dtype), grid: (rows, 1, 1), threads: 256, input.address, Int32(x.stride),
                    factors.address, Self.epsilon, output.address, Int32(y.stride), Int32(width))
                try expectNear(y, output.read(), truth)
                guard dtype == .f32 else { continue }
                try gpu.launch(
                    KernelName(.rmsNorm, dtype), grid: (rows, 1, 1), threads: 256, input.address, Int32(x.stride),
                    factors.address, Self.epsilon, input.address, Int32(x.stride), Int32(width))
                try expectNear(x, input.read(), truth)
            }
        }
    }

    @Test func addRMSNorm() throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32), table = try ScalarKernels.table
            for (rows, width) in Self.shapes {
                let y = try StoredRows.random(.f32, rows: rows, width: width, stride: width + 2, scale: 4)
                let x = try StoredRows.random(.f32, rows: rows, width: width, stride: width + 1, seed: 3)
                let weight = try StoredRows.random(.f32, rows: 1, width: width, stride: width, seed: 2)
                var truth = try x.values()
                table.add_rms_norm(
                    try y.values(), width, try weight.values(), Self.epsilon, &truth, width, rows, width)
                let input = try y.on(gpu), factors = try weight.on(gpu), sum = try x.on(gpu)
                try gpu.launch(
                    KernelName(.addRMSNorm), grid: (rows, 1, 1), threads: 256, input.address, Int32(y.stride),
                    factors.address, Self.epsilon, sum.address, Int32(x.stride), Int32(width))
                try expectNear(x, sum.read(), truth)
            }
        }
    }

    /// The bits of the two kernels that it stands for, with and without a norm of the branch.
    @Test(arguments: DType.operands, [true, false]) func addBranch(_ dtype: DType, _ isNormed: Bool) throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32)
            for (rows, width) in Self.shapes {
                let y = try StoredRows.random(.f32, rows: rows, width: width, stride: width + 2, scale: 4)
                let x = try StoredRows.random(.f32, rows: rows, width: width, stride: width + 1, seed: 3)
                let z = try StoredRows(dtype, rows: rows, width: width, stride: width + 3)
                let weights = try (2..<4).map {
                    try StoredRows.random(.f32, rows: 1, width: width, stride: width, seed: UInt64($0)).on(gpu)
                }
                let branch = try y.on(gpu), sum = try x.on(gpu), normed = try z.on(gpu)
                try gpu.launch(
                    KernelName(.addBranch, dtype), grid: (rows, 1, 1), threads: 256, branch.address, Int32(y.stride),
                    isNormed ? weights[0].address : 0, sum.address, Int32(x.stride), weights[1].address, Self.epsilon,
                    normed.address, Int32(z.stride), Int32(width))
                let sumApart = try x.on(gpu), normedApart = try z.on(gpu)
                if isNormed {
                    try gpu.launch(
                        KernelName(.addRMSNorm), grid: (rows, 1, 1), threads: 256, branch.address, Int32(y.stride),
                        weights[0].address, Self.epsilon, sumApart.address, Int32(x.stride), Int32(width))
                } else {
                    try gpu.launch(
                        KernelName(.add), grid: ((width + 255) / 256, rows, 1), threads: 256, branch.address,
                        Int32(y.stride), sumApart.address, Int32(x.stride), Int32(width))
                }
                try gpu.launch(
                    KernelName(.rmsNorm, dtype), grid: (rows, 1, 1), threads: 256, sumApart.address, Int32(x.stride),
                    weights[1].address, Self.epsilon, normedApart.address, Int32(z.stride), Int32(width))
                #expect(try sum.read() == sumApart.read(), "[\(rows), \(width)]")
                #expect(try normed.read() == normedApart.read(), "[\(rows), \(width)]")
            }
        }
    }

    @Test(arguments: DType.operands) func layerNorm(_ dtype: DType) throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32), table = try ScalarKernels.table
            for (rows, width) in Self.shapes {
                let x = try StoredRows.random(.f32, rows: rows, width: width, stride: width + 3, scale: 4)
                let y = try StoredRows(dtype, rows: rows, width: width, stride: width + 1)
                let weight = try StoredRows.random(.f32, rows: 1, width: width, stride: width, seed: 2)
                let bias = try StoredRows.random(.f32, rows: 1, width: width, stride: width, seed: 3)
                var truth = [Float](repeating: 0, count: rows * width)
                table.layer_norm(
                    try x.values(), width, try weight.values(), try bias.values(), Self.epsilon, &truth, width, rows,
                    width)
                let input = try x.on(gpu), factors = try weight.on(gpu), terms = try bias.on(gpu)
                let output = try y.on(gpu)
                try gpu.launch(
                    KernelName(.layerNorm, dtype), grid: (rows, 1, 1), threads: 256, input.address, Int32(x.stride),
                    factors.address, terms.address, Self.epsilon, output.address, Int32(y.stride), Int32(width))
                try expectNear(y, output.read(), truth)
            }
        }
    }
}
