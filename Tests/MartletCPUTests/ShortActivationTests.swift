@testable import MartletCPU
import MartletCore
import MartletTensor
import MartletTestSupport
import Testing

/// Products of activations in fewer bits: bounds of D7, and the same bits everywhere.
struct ShortActivationTests {
    // MARK: 8-bit activations

    private static let quantized = DType.allCases.filter(\.isQuantized)

    @Test(arguments: quantized, CPUKernels.available)
    func `8-bit activations give the bits of scalar and are near the exact product`(dtype: DType, isa: String) throws {
        var generator = SeededGenerator(seed: 14)
        let truth = try CPUBackend(threads: 2, isa: "scalar", activations: .int8)
        let (fast, exact) = (try CPUBackend(threads: 2, isa: isa, activations: .int8), try CPUBackend(threads: 2))
        for shape in ProductShape.of(dtype) {
            let tensor = StoredTensor("w", dtype: dtype, rows: shape.rows, columns: shape.columns, seed: 5)
            let bias = generator.floats(shape.rows)
            for rows in [1, 2, 3, 5, 8, 9, 17] {
                let x = generator.floats(rows * shape.columns)
                let expected = try product(x, rows: rows, load(tensor, truth), bias: bias, truth)
                let found = try product(x, rows: rows, load(tensor, fast), bias: bias, fast)
                #expect(bits(found) == bits(expected), "\(shape) \(rows)")
                let ideal = try product(x, rows: rows, load(tensor, exact), exact)
                var (error, norm) = (0.0, 0.0)
                for i in 0..<rows * shape.rows {
                    let off = Double(found[i] - bias[i % shape.rows] - ideal[i])
                    error += off * off
                    norm += Double(ideal[i]) * Double(ideal[i])
                }
                // D7's bound; one or a few numbers may cancel to nearly nothing, a matrix of them does not.
                #expect(error.squareRoot() <= (found.count < 64 ? 0.2 : 2e-2) * norm.squareRoot(), "\(shape) \(rows)")
            }
        }
    }

    @Test(arguments: quantized, CPUKernels.available.filter { $0 != "scalar" })
    func `a row of 8-bit activations does not depend on the rows beside it`(dtype: DType, isa: String) throws {
        var generator = SeededGenerator(seed: 15)
        let backend = try CPUBackend(threads: 2, isa: isa, activations: .int8)
        let columns = 768
        let matrix = try load(StoredTensor("w", dtype: dtype, rows: 77, columns: columns), backend)
        let x = generator.floats(200 * columns)
        let single = try (0..<200).flatMap { row in
            try product(Array(x[row * columns..<(row + 1) * columns]), rows: 1, matrix, backend)
        }
        for rows in [2, 7, 8, 9, 33, 96, 97, 200] {
            let together = try product(Array(x[..<(rows * columns)]), rows: rows, matrix, backend)
            #expect(bits(together) == bits(Array(single[..<(rows * matrix.rows)])), "\(rows) rows")
        }
    }

    @Test(arguments: CPUKernels.available)
    func `odd activations of a group stay in that group's row`(isa: String) throws {
        let truth = try CPUBackend(threads: 1, isa: "scalar", activations: .int8)
        let backend = try CPUBackend(threads: 1, isa: isa, activations: .int8)
        let tensor = StoredTensor("w", dtype: .q4_1, rows: 20, columns: 64)
        let odds: [Float] = [
            .nan, .infinity, -.infinity, .leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude, 0,
            -0.0,
        ]
        for odd in odds {
            var x = [Float](repeating: 0.5, count: 3 * 64)
            for k in 64..<96 { x[k] = odd }
            let found = try product(x, rows: 3, load(tensor, backend), backend)
            let expected = try product(x, rows: 3, load(tensor, truth), truth)
            #expect(bits(found) == bits(expected) || odd.isNaN || odd.isInfinite, "\(odd)")
            #expect(found[20..<40].allSatisfy(\.isFinite) == (odd.isFinite && odd < 1e38), "\(odd)")
            #expect(Array(found[..<20]) == Array(found[40...]) && found[..<20].allSatisfy(\.isFinite), "\(odd)")
        }
    }

    @Test func `plain segments beside quantised ones stay exact`() throws {
        var generator = SeededGenerator(seed: 16)
        let (short, exact) = (try CPUBackend(threads: 2, activations: .int8), try CPUBackend(threads: 2))
        let a = StoredTensor("a", dtype: .q6_K, rows: 20, columns: 256)
        let b = StoredTensor("b", dtype: .f32, rows: 30, columns: 256)
        let x = generator.floats(4 * 256)
        let products = try [short, exact].map { backend in
            try product(
                x, rows: 4,
                backend.loadMatrix(
                    [MatrixSlice(a.info), MatrixSlice(b.info)], from: MemoryWeightSource(a, b), dtype: .f32), backend)
        }
        for row in 0..<4 {
            let (quantized, plain) = (row * 50..<row * 50 + 20, row * 50 + 20..<row * 50 + 50)
            #expect(bits(Array(products[0][plain])) == bits(Array(products[1][plain])))
            #expect(bits(Array(products[0][quantized])) != bits(Array(products[1][quantized])))
        }
    }

    // MARK: 16-bit activations

    /// x rounded to bf16 as f32.
    private func rounded(_ x: [Float]) -> [Float] {
        x.map { value in
            let bits = value.bitPattern
            return Float(bitPattern: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000)
        }
    }

    @Test(arguments: CPUKernels.available)
    func `bf16 activations are summed in pairs, the second first`(isa: String) throws {
        var generator = SeededGenerator(seed: 21)
        let backend = try CPUBackend(threads: 2, isa: isa, activations: .bf16)
        for shape in [ProductShape(rows: 5, columns: 2), .init(rows: 33, columns: 70), .init(rows: 70, columns: 1030)] {
            let tensor = StoredTensor("w", dtype: .bf16, rows: shape.rows, columns: shape.columns)
            let (bias, weights) = (generator.floats(shape.rows), tensor.values)
            for rows in [1, 2, 3, 12, 13, 31, 100] {
                let x = generator.floats(rows * shape.columns)
                let short = rounded(x)
                let y = try product(x, rows: rows, load(tensor, backend), bias: bias, backend)
                for m in [0, rows / 2, rows - 1] {
                    for n in 0..<shape.rows {
                        var sum: Float = 0
                        for k in stride(from: 0, to: shape.columns, by: 2) {
                            for at in [k + 1, k] {
                                sum.addProduct(short[m * shape.columns + at], weights[n * shape.columns + at])
                            }
                        }
                        #expect(y[m * shape.rows + n].bitPattern == (sum + bias[n]).bitPattern, "\(shape) \(m) \(n)")
                    }
                }
            }
        }
    }

    @Test(arguments: CPUKernels.available)
    func `bf16 activations are near the exact product, and odd columns and other types meet it`(isa: String) throws {
        var generator = SeededGenerator(seed: 22)
        let (short, exact) = (try CPUBackend(threads: 2, isa: isa, activations: .bf16), try CPUBackend(threads: 2))
        for (dtype, columns) in [(DType.bf16, 448), (.bf16, 37), (.f16, 448), (.f32, 448)] {
            let tensor = StoredTensor("w", dtype: dtype, rows: 70, columns: columns)
            let x = generator.floats(9 * columns)
            let found = try product(x, rows: 9, load(tensor, short), short)
            let ideal = try product(x, rows: 9, load(tensor, exact), exact)
            let error = zip(found, ideal).map { Double($0 - $1) * Double($0 - $1) }.reduce(0, +)
            let norm = ideal.map { Double($0) * Double($0) }.reduce(0, +)
            #expect(error.squareRoot() <= 4e-3 * norm.squareRoot(), "\(dtype) \(columns)")
            #expect((bits(found) == bits(ideal)) == (dtype != .bf16 || columns % 2 == 1), "\(dtype) \(columns)")
        }
    }

    @Test(arguments: CPUKernels.available)
    func `what is below the normal numbers counts as zero with bf16 activations`(isa: String) throws {
        let backend = try CPUBackend(threads: 1, isa: isa, activations: .bf16)
        let info = TensorInfo(name: "w", dtype: .bf16, shape: [16, 2])
        let bytes = (0..<32).flatMap { _ in DType.bf16.plainBytes(0x1p-60) }
        let matrix = try load(StoredTensor(info, bytes: bytes), backend)
        // The product is 2^-127; an activation of 2^-127 is none; the least normal one counts.
        for (x, expected) in [(Float(0x1p-67), Float(0)), (0x1p-127, 0), (0x1p-66, 0x1p-126)] {
            let y = try product([x, 0], rows: 1, matrix, backend)
            #expect(y.allSatisfy { $0 == expected }, "\(x)")
        }
    }
}
