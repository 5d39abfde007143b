import CMartletKernels
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletCPU

/// Plain weights into blocks of 8 and 4 bits.
struct WeightQuantizationTests {
    private func blocks(_ dtype: DType, _ values: [Float], isa: String? = nil) throws -> [UInt8]? {
        var bytes = [UInt8](repeating: 0xEE, count: values.count / 32 * dtype.blockBytes)
        let table = try CPUKernels(isa: isa).table.pointee
        return table.quantize_blocks(dtype.kernelType, values, &bytes, values.count) ? bytes : nil
    }

    private func values(_ dtype: DType, _ bytes: [UInt8]) -> [Float] {
        stride(from: 0, to: bytes.count, by: dtype.blockBytes).flatMap {
            dtype.decode(Array(bytes[$0..<$0 + dtype.blockBytes]))
        }
    }

    private func squaredError(_ x: [Float], _ y: [Float]) -> Double {
        zip(x, y).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
    }

    /// The least squared error that any of many scales of a Q4_0 block gives.
    private func leastError(_ block: [Float]) -> Double {
        let magnitude = block.map(abs).max() ?? 0
        return stride(from: Float(5), to: 11, by: 0.01).reduce(.infinity) { least, place in
            [Float(1), -1].reduce(least) { least, sign in
                let scale = Float(Float16(sign * magnitude / place))
                let rounded = block.map { scale * min(max(($0 / scale).rounded(.toNearestOrEven), -8), 7) }
                return min(least, squaredError(block, rounded))
            }
        }
    }

    @Test func `8 bits round to the nearest of 255 levels`() throws {
        var generator = SeededGenerator(seed: 5)
        let x = generator.floats(320)
        let bytes = try #require(try blocks(.q8_0, x))
        for (index, value) in values(.q8_0, bytes).enumerated() {
            let block = x[index / 32 * 32..<index / 32 * 32 + 32]
            let scale = Float(Float16((block.map(abs).max() ?? 0) / 127))
            #expect(abs(value - x[index]) <= scale * 0.5001)
        }
    }

    @Test(arguments: 0..<8)
    func `4 bits come near the best scale there is, and beat the plain one`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var found = 0.0, plain = 0.0, least = 0.0
        for _ in 0..<40 {
            // Sums of uniforms: bell-shaped, as weights are.
            let x = (0..<32).map { _ in generator.floats(4).reduce(0, +) * 0.01 }
            found += squaredError(x, values(.q4_0, try #require(try blocks(.q4_0, x))))
            least += leastError(x)
            let extreme = x.max { abs($0) < abs($1) } ?? 0
            let scale = Float(Float16(extreme / -8))
            plain += squaredError(x, x.map { scale * min(max(($0 / scale).rounded(), -8), 7) })
        }
        #expect(found < plain * 0.95)
        #expect(found < least * 1.03)
    }

    @Test(arguments: [DType.q8_0, .q4_0])
    func `values on the grid stay, zeros and dust become zero`(dtype: DType) throws {
        let scale = Float(0.5)
        let levels = (0..<32).map { Float(dtype == .q8_0 ? $0 * 8 - 127 : $0 % 16 - 8) }
        let x = levels.map { $0 * scale }
        #expect(values(dtype, try #require(try blocks(dtype, x))) == x)
        let nothing = [Float](repeating: 0, count: 32), dust = [Float](repeating: 1e-30, count: 32)
        #expect(values(dtype, try #require(try blocks(dtype, nothing + dust))) == nothing + nothing)
    }

    @Test(arguments: [DType.q8_0, .q4_0])
    func `what is not finite or has no scale as a half is refused`(dtype: DType) throws {
        for (value, fits) in [
            (Float.nan, false), (-Float.nan, false), (.infinity, false), (-.infinity, false),
            (.greatestFiniteMagnitude, false), (1e9, false), (1e5, true), (-4e5, true),
        ] {
            for place in [0, 13, 31, 40] {
                var x = [Float](repeating: 1, count: 64)
                x[place] = value
                #expect(try (blocks(dtype, x) != nil) == fits, "\(value) at \(place)")
            }
        }
    }

    @Test(arguments: [DType.q8_0, .q4_0], [DType.f32, .f16, .bf16])
    func `a plain tensor is packed as its quantised rows`(dtype: DType, from: DType) throws {
        let backend = try CPUBackend(threads: 2)
        let tensor = StoredTensor("w", dtype: from, rows: 37, columns: 96)
        let slice = MatrixSlice(name: "w", rows: 3..<36, columns: 32..<96)
        let matrix = try backend.loadMatrix([slice], from: MemoryWeightSource(tensor), dtype: dtype)
        #expect(matrix.dtypes == [dtype])
        let all = tensor.values
        let expected = try slice.rows.flatMap { row in
            values(dtype, try #require(try blocks(dtype, slice.columns.map { all[row * 96 + $0] })))
        }
        var row = [Float](repeating: 0, count: 64)
        for index in 0..<matrix.rows {
            backend.unpackRow(index, of: matrix, into: &row)
            #expect(bits(row) == bits(Array(expected[index * 64..<index * 64 + 64])))
        }
    }

    @Test func `a weight that is not finite is refused by tensor and row`() throws {
        let backend = try CPUBackend(threads: 2)
        let info = TensorInfo(name: "w", dtype: .f32, shape: [40, 32])
        let bytes = (0..<40 * 32).flatMap { DType.f32.plainBytes($0 == 21 * 32 + 5 ? .nan : 1) }
        let error = #expect(throws: WeightError.self) {
            try backend.loadMatrix(
                [MatrixSlice(info)], from: MemoryWeightSource(StoredTensor(info, bytes: bytes)), dtype: .q4_0)
        }
        #expect(error?.tensor == "w")
        #expect(error?.reason.contains("row 21 ") == true)
    }

    @Test func `columns that are no whole blocks are refused`() throws {
        let backend = try CPUBackend(threads: 1)
        let tensor = StoredTensor("w", dtype: .bf16, rows: 2, columns: 40)
        #expect(throws: WeightError.self) {
            try backend.loadMatrix([MatrixSlice(tensor.info)], from: MemoryWeightSource(tensor), dtype: .q8_0)
        }
    }
}
