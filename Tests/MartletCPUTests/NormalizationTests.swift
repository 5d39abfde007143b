import MartletTensor
import Testing

@testable import MartletCPU

/// Every norm against doubles, against the scalar twin bit by bit, and row by row.
@Suite struct NormalizationTests {
    static let widths = [1, 7, 32, 100, 1000]

    @Test(arguments: CPUKernels.available, widths)
    func rmsNorm(isa: String, width: Int) throws {
        try check(isa, width) { backend, x, weight, _, y in
            backend.rmsNorm(x, weight: weight, epsilon: 1e-5, into: y)
        } truth: { x, _, weight, _ in
            let inverse = 1 / (x.map { $0 * $0 }.reduce(0, +) / Double(x.count) + Double(Float(1e-5))).squareRoot()
            return zip(x, weight).map { $0 * inverse * $1 }
        }
    }

    @Test(arguments: CPUKernels.available, widths)
    func addRMSNorm(isa: String, width: Int) throws {
        try check(isa, width) { backend, x, weight, _, y in
            backend.addRMSNorm(x, weight: weight, epsilon: 1e-5, to: y)
        } truth: { x, y, weight, _ in
            let inverse = 1 / (x.map { $0 * $0 }.reduce(0, +) / Double(x.count) + Double(Float(1e-5))).squareRoot()
            return zip(y, zip(x, weight)).map { $0 + $1.0 * inverse * $1.1 }
        }
    }

    @Test(arguments: CPUKernels.available, widths)
    func layerNorm(isa: String, width: Int) throws {
        try check(isa, width) { backend, x, weight, bias, y in
            backend.layerNorm(x, weight: weight, bias: bias, epsilon: 1e-3, into: y)
        } truth: { x, _, weight, bias in
            let mean = x.reduce(0, +) / Double(x.count)
            let variance = x.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(x.count)
            let inverse = 1 / (variance + Double(Float(1e-3))).squareRoot()
            return zip(x, zip(weight, bias)).map { ($0 - mean) * inverse * $1.0 + $1.1 }
        }
    }

    @Test(arguments: CPUKernels.available)
    func normsMayOverwriteTheirInput(isa: String) throws {
        let backend = try CPUBackend(threads: 1, isa: isa)
        var numbers = SeededValues(4)
        let values = numbers.floats(3 * 40)
        let weight = try backend.vector(numbers.floats(40)), bias = try backend.vector(numbers.floats(40))
        let x = try backend.activation(values, width: 40), y = try backend.activation(values, width: 40)
        let inPlace = try backend.activation(values, width: 40)
        backend.rmsNorm(x, weight: weight, epsilon: 1e-5, into: y)
        backend.rmsNorm(inPlace, weight: weight, epsilon: 1e-5, into: inPlace)
        #expect(backend.read(inPlace).bitPatterns == backend.read(y).bitPatterns)
        backend.layerNorm(x, weight: weight, bias: bias, epsilon: 1e-5, into: y)
        backend.layerNorm(x, weight: weight, bias: bias, epsilon: 1e-5, into: x)
        #expect(backend.read(x).bitPatterns == backend.read(y).bitPatterns)
    }

    private typealias Operation = (
        CPUBackend, Activation<CPUBackend.Storage>, CPUBackend.Vector, CPUBackend.Vector,
        Activation<CPUBackend.Storage>
    ) -> Void
    private typealias Truth = (_ x: [Double], _ y: [Double], _ weight: [Double], _ bias: [Double]) -> [Double]

    private func check(_ isa: String, _ width: Int, _ operation: Operation, truth: Truth) throws {
        let rows = 19
        var numbers = SeededValues(UInt64(width))
        let x = numbers.floats(rows * width, scale: 3).map { $0 + 0.5 }, y = numbers.floats(rows * width)
        let weight = numbers.floats(width), bias = numbers.floats(width)

        func run(_ isa: String, threads: Int, _ range: Range<Int>) throws -> [Float] {
            let backend = try CPUBackend(threads: threads, isa: isa)
            let slice = range.lowerBound * width..<range.upperBound * width
            let input = try backend.activation(Array(x[slice]), width: width, padding: 3)
            let output = try backend.activation(Array(y[slice]), width: width, padding: 5)
            operation(backend, input, try backend.vector(weight), try backend.vector(bias), output)
            return backend.read(output)
        }

        let whole = try run(isa, threads: 2, 0..<rows)
        let expected = (0..<rows).flatMap { row in
            let slice = row * width..<(row + 1) * width
            return truth(
                x[slice].map(Double.init), y[slice].map(Double.init), weight.map(Double.init), bias.map(Double.init))
        }
        #expect(whole.error(from: expected) < 1e-6)
        #expect(whole.bitPatterns == (try run("scalar", threads: 1, 0..<rows)).bitPatterns)
        let single = try (0..<rows).flatMap { try run(isa, threads: 3, $0..<$0 + 1) }
        #expect(whole.bitPatterns == single.bitPatterns)
    }
}
