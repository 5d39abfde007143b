@testable import MartletCPU
import MartletCore
import MartletTensor
import MartletTestSupport
import Testing

/// y = x W^T + bias: the same bits whatever the instruction set, the rows beside a row, and the threads (D5).
struct LinearTests {
    /// Threads, panels of so many bytes, rows; panels a thread takes at a time. No thread is left without any.
    @Test(arguments: [
        (2, 36, 18432, 1, 2), (2, 96, 18432, 1, 2), (2, 3072, 18432, 1, 2), (2, 192, 5120, 1, 12),
        (2, 36, 5120, 16, 2), (2, 1, 18432, 1, 2), (4, 10, 1_048_576, 2, 2), (2, 192, 5120, 128, 12),
        (2, 96, 18432, 129, 2), (2, 3072, 18432, 512, 4),
    ])
    func fewRowsReadAShareInOrder(threads: Int, panels: Int, bytes: Int, rows: Int, grain: Int) {
        #expect(CPUBackend.panelGrain(panels: panels, bytes: bytes, rows: rows, threads: threads) == grain)
    }

    @Test(arguments: DType.allCases)
    func `products are those of the dequantised weights`(dtype: DType) throws {
        var generator = SeededGenerator(seed: 3)
        let backend = try CPUBackend(threads: 2)
        for shape in ProductShape.of(dtype) {
            let tensor = StoredTensor("w", dtype: dtype, rows: shape.rows, columns: shape.columns)
            let (x, bias, weights) = (generator.floats(2 * shape.columns), generator.floats(shape.rows), tensor.values)
            let y = try product(x, rows: 2, load(tensor, backend), bias: bias, backend)
            for m in 0..<2 {
                for n in 0..<shape.rows {
                    // The contract itself: one chain of fused multiply-adds over the columns, then the bias.
                    var sum: Float = 0
                    for k in 0..<shape.columns {
                        sum = sum.addingProduct(x[m * shape.columns + k], weights[n * shape.columns + k])
                    }
                    #expect(y[m * shape.rows + n].bitPattern == (sum + bias[n]).bitPattern, "\(shape) \(m) \(n)")
                }
            }
        }
    }

    @Test(arguments: DType.allCases, CPUKernels.available.filter { $0 != "scalar" })
    func `every instruction set gives the bits of scalar`(dtype: DType, isa: String) throws {
        var generator = SeededGenerator(seed: 4)
        let (truth, fast) = (try CPUBackend(threads: 2, isa: "scalar"), try CPUBackend(threads: 2, isa: isa))
        for shape in ProductShape.of(dtype) {
            let tensor = StoredTensor("w", dtype: dtype, rows: shape.rows, columns: shape.columns, seed: 9)
            let bias = generator.floats(shape.rows)
            for rows in [1, 2, 3, 4, 5, 6, 7, 13] {
                let x = generator.floats(rows * shape.columns)
                let expected = try product(x, rows: rows, load(tensor, truth), bias: bias, truth)
                let found = try product(x, rows: rows, load(tensor, fast), bias: bias, fast)
                #expect(bits(found) == bits(expected), "\(shape) \(rows)")
            }
        }
    }

    @Test(arguments: DType.allCases)
    func `a row's product does not depend on the rows beside it`(dtype: DType) throws {
        var generator = SeededGenerator(seed: 5)
        let backend = try CPUBackend(threads: 2)
        let columns = 512
        let matrix = try load(StoredTensor("w", dtype: dtype, rows: 77, columns: columns), backend)
        let x = generator.floats(33 * columns)
        let single = try (0..<33).flatMap { row in
            try product(Array(x[row * columns..<(row + 1) * columns]), rows: 1, matrix, backend)
        }
        for rows in 2...33 {
            let together = try product(Array(x[..<(rows * columns)]), rows: rows, matrix, backend)
            #expect(bits(together) == bits(Array(single[..<(rows * matrix.rows)])), "\(rows) rows")
        }
    }

    @Test func `nor on rows enough for several passes`() throws {
        var generator = SeededGenerator(seed: 6)
        let backend = try CPUBackend(threads: 2)
        let columns = 16
        let matrix = try load(StoredTensor("w", dtype: .bf16, rows: 16, columns: columns), backend)
        let rows = 400
        let x = generator.floats(rows * columns)
        let together = try product(x, rows: rows, matrix, backend)
        for row in [0, 191, 192, 199, 200, 399] {
            let single = try product(Array(x[row * columns..<(row + 1) * columns]), rows: 1, matrix, backend)
            #expect(bits(single) == bits(Array(together[row * 16..<(row + 1) * 16])), "row \(row)")
        }
    }

    @Test func `nor on a workspace that holds a few of them`() throws {
        var generator = SeededGenerator(seed: 7)
        let (small, large) = (try CPUBackend(threads: 2, workspaceCount: 8 * 256 + 1), try CPUBackend(threads: 2))
        let tensor = StoredTensor("w", dtype: .q4_0, rows: 20, columns: 256)
        let x = generator.floats(19 * 256)
        #expect(
            try bits(product(x, rows: 19, load(tensor, small), small))
                == bits(product(x, rows: 19, load(tensor, large), large)))
    }

    @Test(arguments: [DType.bf16, .q4_K])
    func `threads change no bit`(dtype: DType) throws {
        var generator = SeededGenerator(seed: 8)
        let tensor = StoredTensor("w", dtype: dtype, rows: 300, columns: 256)
        let x = generator.floats(9 * 256)
        let expected = try CPUBackend(threads: 1)
        let truth = try product(x, rows: 9, load(tensor, expected), expected)
        for threads in 2...3 {
            let backend = try CPUBackend(threads: threads)
            #expect(try bits(product(x, rows: 9, load(tensor, backend), backend)) == bits(truth), "\(threads) threads")
        }
    }

    @Test func `segments of several types multiply as one matrix`() throws {
        var generator = SeededGenerator(seed: 10)
        let backend = try CPUBackend(threads: 2)
        let a = StoredTensor("a", dtype: .q6_K, rows: 20, columns: 256)
        let b = StoredTensor("b", dtype: .f32, rows: 30, columns: 256)
        let stacked = try backend.loadMatrix(
            [MatrixSlice(a.info), MatrixSlice(b.info)], from: MemoryWeightSource(a, b), dtype: .f32)
        let whole = try backend.makeMatrix(a.values + b.values, rows: 50, columns: 256)
        let (x, bias) = (generator.floats(4 * 256), generator.floats(50))
        #expect(
            try bits(product(x, rows: 4, stacked, bias: bias, backend))
                == bits(product(x, rows: 4, whole, bias: bias, backend)))
    }

    @Test func `rows copy and add`() throws {
        let backend = try CPUBackend(threads: 2)
        let (x, y) = (try backend.makeActivation(rows: 3, width: 11), try backend.makeActivation(rows: 3, width: 11))
        let values = (0..<33).map(Float.init)
        backend.write(values, to: x)
        backend.write(values, to: y)
        backend.add(y, to: x)
        #expect(backend.read(x) == values.map { 2 * $0 })
        backend.copyRows([2, 0], of: x, to: [0, 1], of: y)
        let expected: [Range<Int>] = [22..<33, 0..<11]
        #expect(backend.read(y.rows(0..<2)) == expected.joined().map { 2 * Float($0) })
        #expect(backend.read(y.rows(2..<3)) == (22..<33).map(Float.init))
    }
}

/// Ranks that hold a part of the vocabulary.
@Suite struct EmbeddingTests {
    @Test func rowsOfOtherRanksAreZeros() throws {
        let backend = try CPUBackend(threads: 1)
        let table = try backend.makeMatrix((0..<32).map(Float.init), rows: 4, columns: 8)
        let y = try backend.makeActivation(rows: 4, width: 8)
        backend.embed([15, 16, 19, 20], table: table, firstRow: 16, into: y)
        let zeros = [Float](repeating: 0, count: 8)
        #expect(backend.read(y) == zeros + (0..<8).map(Float.init) + (24..<32).map(Float.init) + zeros)
    }
}
