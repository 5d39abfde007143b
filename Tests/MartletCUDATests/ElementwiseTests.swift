import MartletCPU
import MartletCUDA
import MartletTensor
import MartletTestSupport
import Testing

/// Norms, activation functions and rows, on shapes that fill no block of threads.
@Suite struct ElementwiseTests {
    static let shapes = [(1, 1), (1, 31), (3, 100), (2, 257), (5, 1030)]

    @Test(arguments: DType.operands) func norms(_ type: DType) throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(type, on: gpus)
            for (rows, width) in Self.shapes {
                let weight = try pair.vector(width), bias = try pair.vector(width, seed: 3)
                let x = try pair.rows(rows, width, padding: 3, scale: 3)
                let y = try pair.empty(rows, width, padding: 5, role: .operand)
                pair.gpu.rmsNorm(x.gpu, weight: weight.gpu, epsilon: 1e-5, into: y.gpu)
                pair.cpu.rmsNorm(x.cpu, weight: weight.cpu, epsilon: 1e-5, into: y.cpu)
                try pair.expectNear(y, within: type.bound, "rmsNorm \(width)")
                pair.gpu.layerNorm(x.gpu, weight: weight.gpu, bias: bias.gpu, epsilon: 1e-5, into: y.gpu)
                pair.cpu.layerNorm(x.cpu, weight: weight.cpu, bias: bias.cpu, epsilon: 1e-5, into: y.cpu)
                try pair.expectNear(y, within: type.bound, "layerNorm \(width)")
                let stream = try pair.rows(rows, width, seed: 4)
                pair.gpu.addRMSNorm(x.gpu, weight: weight.gpu, epsilon: 1e-5, to: stream.gpu)
                pair.cpu.addRMSNorm(x.cpu, weight: weight.cpu, epsilon: 1e-5, to: stream.cpu)
                try pair.expectNear(stream, within: 1e-5, "addRMSNorm \(width)")
                pair.gpu.rmsNorm(x.gpu, weight: weight.gpu, epsilon: 1e-5, into: x.gpu)
                pair.cpu.rmsNorm(x.cpu, weight: weight.cpu, epsilon: 1e-5, into: x.cpu)
                try pair.expectNear(x, within: 1e-5, "rmsNorm in place \(width)")
            }
        }
    }

    @Test(arguments: DType.operands) func activations(_ type: DType) throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(type, on: gpus)
            for (rows, width) in Self.shapes {
                for role in [ActivationRole.exact, .operand] {
                    let x = try pair.rows(rows, 2 * width, padding: 2, role: role, scale: 4)
                    let y = try pair.empty(rows, width, padding: 1, role: role)
                    pair.gpu.siluMultiply(x.gpu, into: y.gpu)
                    pair.cpu.siluMultiply(x.cpu, into: y.cpu)
                    try pair.expectNear(y, within: role == .exact ? 1e-5 : type.bound, "siluMultiply \(width)")
                }
                let x = try pair.rows(rows, width, padding: 7, scale: 5), z = try pair.rows(rows, width, seed: 6)
                pair.gpu.gelu(x.gpu)
                pair.cpu.gelu(x.cpu)
                try pair.expectNear(x, within: 1e-6, "gelu \(width)")
                pair.gpu.add(z.gpu, to: x.gpu)
                pair.cpu.add(z.cpu, to: x.cpu)
                try pair.expectNear(x, within: 1e-6, "add \(width)")
            }
        }
    }

    @Test func copiedRows() throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(.f16, on: gpus)
            let x = try pair.rows(7, 130, padding: 2), y = try pair.rows(9, 130, seed: 5)
            pair.gpu.copyRows([6, 0, 3], of: x.gpu, to: [1, 8, 0], of: y.gpu)
            pair.cpu.copyRows([6, 0, 3], of: x.cpu, to: [1, 8, 0], of: y.cpu)
            try pair.expectNear(y, within: 0)
            pair.gpu.copyRows([], of: x.gpu, to: [], of: y.gpu)
            try pair.expectNear(y, within: 0)
        }
    }

    @Test(arguments: DType.operands, [ActivationRole.exact, .operand])
    func rotations(_ type: DType, _ role: ActivationRole) throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(type, on: gpus)
            for (pairing, dimension, pairs) in [(RotaryPairing.interleaved, 16, 4), (.halfSplit, 24, 12)] {
                let rotary = RotaryConfiguration(
                    pairing: pairing,
                    inverseFrequency: RotaryConfiguration.inverseFrequencies(theta: 10000, dimensions: 2 * pairs),
                    axis: (0..<pairs).map { $0 % 3 })
                var positions = RotaryPositions()
                for row in 0..<5 { positions.append(t: Int32(1000 * row), h: Int32(row), w: Int32(7 * row)) }
                let table = try pair.empty(5, 2 * pairs, padding: 1)
                pair.gpu.rotaryTable(rotary, positions: positions, into: table.gpu)
                pair.cpu.rotaryTable(rotary, positions: positions, into: table.cpu)
                try pair.expectNear(table, within: 1e-6, "table")
                let x = try pair.rows(5, 3 * dimension + 5, padding: 2, role: role)
                pair.gpu.rotate(
                    x.gpu, headCount: 3, dimension: dimension, table: table.gpu, pairing: pairing)
                pair.cpu.rotate(
                    x.cpu, headCount: 3, dimension: dimension, table: table.cpu, pairing: pairing)
                try pair.expectNear(x, within: role == .exact ? 1e-6 : type.bound, "\(pairing)")
            }
        }
    }
}
