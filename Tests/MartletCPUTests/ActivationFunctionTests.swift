import Foundation
import MartletTensor
import Testing

@testable import MartletCPU

@Suite struct ActivationFunctionTests {
    /// From where SiLU is nearly 0 to where it is nearly x, subnormal exponentials and both zeros included.
    static let inputs: [Float] =
        stride(from: Float(-120), to: 120, by: 0.37).map { $0 } + [0, -0.0, 1e-30, -1e-30, 87.5, -87.5, -103.9, -104.1]

    @Test(arguments: CPUKernels.available)
    func siluMultiplyIsAccurate(isa: String) throws {
        let backend = try CPUBackend(threads: 2, isa: isa)
        let count = Self.inputs.count
        for up in [Float(1), -3.5] {
            let x = try backend.activation(Self.inputs + [Float](repeating: up, count: count), width: 2 * count)
            let y = try backend.makeActivation(rows: 1, width: count)
            backend.siluMultiply(x, into: y)
            for (gate, value) in zip(Self.inputs, backend.read(y)) {
                let truth = Double(gate) / (1 + exp(-Double(gate))) * Double(up)
                // Below the smallest normal number only the absolute error is small.
                #expect(abs(Double(value) - truth) <= 3e-7 * abs(truth) + 1e-36, "silu(\(gate)) * \(up)")
            }
        }
    }

    @Test(arguments: CPUKernels.available)
    func siluMultiplyHasTheBitsOfItsTwin(isa: String) throws {
        var numbers = SeededValues(8)
        for width in [1, 8, 13, 64] {
            let values = numbers.floats(5 * 2 * width, scale: 100)
            let results = try [isa, "scalar"].map { isa in
                let backend = try CPUBackend(threads: 1, isa: isa)
                let x = try backend.activation(values, width: 2 * width, padding: 1)
                let y = try backend.makeActivation(rows: 5, width: width)
                backend.siluMultiply(x, into: y)
                return backend.read(y).bitPatterns
            }
            #expect(results[0] == results[1], "width \(width)")
        }
    }

    @Test func siluMultiplyKeepsNaN() throws {
        for isa in CPUKernels.available {
            let backend = try CPUBackend(threads: 1, isa: isa)
            let gate = [Float](repeating: .nan, count: 9), up = [Float](repeating: 1, count: 9)
            let x = try backend.activation(gate + up, width: 18)
            let y = try backend.makeActivation(rows: 1, width: 9)
            backend.siluMultiply(x, into: y)
            #expect(backend.read(y).allSatisfy { $0.isNaN })
        }
    }

    @Test(arguments: CPUKernels.available)
    func geluIsTheErrorFunctions(isa: String) throws {
        let backend = try CPUBackend(threads: 2, isa: isa)
        let inputs = stride(from: Float(-9), to: 9, by: 0.01).map { $0 }
        let x = try backend.activation(inputs, width: inputs.count)
        backend.gelu(x)
        for (input, value) in zip(inputs, backend.read(x)) {
            let truth = 0.5 * Double(input) * erfc(-Double(input) / 2.0.squareRoot())
            #expect(abs(Double(value) - truth) <= 1e-7 * abs(truth), "gelu(\(input))")
        }
        // Phi(1) and Phi(-2) from tables: not the tanh approximation, which is 1.5e-4 off.
        let known = try backend.activation([1, -2], width: 2)
        backend.gelu(known)
        #expect(backend.read(known).error(from: [0.8413447460685429, -0.04550026389635842]) < 1e-7)
    }
}
