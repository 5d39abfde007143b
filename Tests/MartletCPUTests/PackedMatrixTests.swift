@testable import MartletCPU
import MartletCore
import MartletTensor
import MartletTestSupport
import Testing

/// Packing changes no value, whatever the type, the shape, the slices and the instruction set.
struct PackedMatrixTests {
    static let shapes: [(rows: Int, columns: Int)] = [(1, 256), (15, 512), (16, 256), (17, 512), (40, 256)]

    /// All rows of a matrix by way of `embed`.
    private func rows(of matrix: CPUBackend.Matrix, _ backend: CPUBackend) throws -> [Float] {
        let y = try backend.makeActivation(rows: matrix.rows, width: matrix.columns)
        backend.embed((0..<matrix.rows).map { TokenID($0) }, table: matrix, firstRow: 0, into: y)
        return backend.read(y)
    }

    @Test(arguments: DType.allCases, CPUKernels.available)
    func `packed weights have the values of the file`(dtype: DType, isa: String) throws {
        let backend = try CPUBackend(threads: 2, isa: isa)
        for shape in Self.shapes {
            let tensor = StoredTensor("w", dtype: dtype, rows: shape.rows, columns: shape.columns)
            let matrix = try backend.loadMatrix(
                [MatrixSlice(tensor.info)], from: MemoryWeightSource(tensor), dtype: nil)
            #expect(matrix.dtypes == [dtype])
            #expect(try bits(rows(of: matrix, backend)) == bits(tensor.values), "\(shape)")
        }
    }

    @Test func `memory is the stored bytes, rows rounded up to 16`() throws {
        let backend = try CPUBackend(threads: 1)
        let tensor = StoredTensor("w", dtype: .q4_K, rows: 17, columns: 256)
        let matrix = try backend.loadMatrix([MatrixSlice(tensor.info)], from: MemoryWeightSource(tensor), dtype: nil)
        #expect(matrix.byteCount == 32 * 144)
    }

    @Test func `slices of rows and columns are stacked, in segments where type or panel ends`() throws {
        let backend = try CPUBackend(threads: 2)
        let a = StoredTensor("a", dtype: .q8_0, rows: 40, columns: 128, seed: 1)
        let b = StoredTensor("b", dtype: .q4_0, rows: 20, columns: 128, seed: 2)
        let slices = [
            MatrixSlice(name: "a", rows: 3..<35, columns: 32..<96),
            MatrixSlice(name: "a", rows: 5..<8, columns: 0..<64),
            MatrixSlice(name: "a", rows: 9..<29, columns: 0..<64),
            MatrixSlice(name: "b", rows: 1..<20, columns: 64..<128),
            MatrixSlice(name: "a", rows: 0..<1, columns: 64..<128),
        ]
        let matrix = try backend.loadMatrix(slices, from: MemoryWeightSource(a, b), dtype: .f16)
        #expect(matrix.dtypes == [.q8_0, .q8_0, .q4_0, .q8_0])
        let expected = slices.flatMap { slice in
            let values = slice.name == "a" ? a.values : b.values
            return slice.rows.flatMap { row in slice.columns.map { values[row * 128 + $0] } }
        }
        #expect(try bits(rows(of: matrix, backend)) == bits(expected))
    }

    @Test(arguments: [DType.f32, .f16, .bf16], [DType.f32, .f16, .bf16])
    func `plain types convert to the type asked for, rounding to even`(from: DType, to: DType) throws {
        let backend = try CPUBackend(threads: 1)
        let tensor = StoredTensor("w", dtype: from, rows: 5, columns: 50)
        let matrix = try backend.loadMatrix([MatrixSlice(tensor.info)], from: MemoryWeightSource(tensor), dtype: to)
        let expected = tensor.values.map { (value: Float) -> Float in
            switch to {
            case .f16: return Float(Float16(value))
            case .bf16: return Self.roundedToBF16(value)
            default: return value
            }
        }
        #expect(matrix.dtypes == [to])
        #expect(try bits(rows(of: matrix, backend)) == bits(expected))
    }

    @Test func `a finite value that does not fit f16 is refused by name`() throws {
        let backend = try CPUBackend(threads: 2)
        for (value, fits) in [(Float(65504), true), (65519, true), (65520, false), (-1e9, false), (.infinity, true)] {
            let info = TensorInfo(name: "big", dtype: .f32, shape: [1, 1])
            let source = MemoryWeightSource(StoredTensor(info, bytes: DType.f32.plainBytes(value)))
            if fits {
                _ = try backend.loadMatrix([MatrixSlice(info)], from: source, dtype: .f16)
            } else {
                let error = #expect(throws: WeightError.self) {
                    try backend.loadMatrix([MatrixSlice(info)], from: source, dtype: .f16)
                }
                #expect(error?.tensor == "big")
            }
        }
    }

    @Test func `slices that do not fit their tensor are refused`() throws {
        let backend = try CPUBackend(threads: 1)
        let q = StoredTensor("q", dtype: .q8_0, rows: 4, columns: 64)
        let p = StoredTensor("p", dtype: .f32, rows: 4, columns: 32)
        let source = MemoryWeightSource(q, p)
        let (whole, narrow) = (MatrixSlice(q.info), MatrixSlice(p.info))
        let wrong: [[MatrixSlice]] = [
            [],
            [MatrixSlice(name: "none", rows: 0..<1, columns: 0..<32)],
            [MatrixSlice(name: "q", rows: 0..<5, columns: 0..<32)],
            [MatrixSlice(name: "q", rows: 0..<4, columns: 0..<96)],
            [MatrixSlice(name: "q", rows: 0..<4, columns: 16..<48)],
            [MatrixSlice(name: "q", rows: 0..<4, columns: 0..<0)],
            [whole, narrow],
        ]
        for slices in wrong {
            #expect(throws: WeightError.self) { try backend.loadMatrix(slices, from: source, dtype: nil) }
        }
        #expect(throws: WeightError.self) {
            try backend.loadMatrix([narrow], from: source, dtype: .q4_K)
        }
    }

    @Test(arguments: DType.allCases)
    func `vectors are f32 whatever their type`(dtype: DType) throws {
        let backend = try CPUBackend(threads: 2)
        let table = StoredTensor("table", dtype: dtype, rows: 5, columns: 256)
        let info = TensorInfo(name: "norm", dtype: .f16, shape: [3])
        let norm = StoredTensor(info, bytes: [1, 2, 3].flatMap(DType.f16.plainBytes))
        let vector = try backend.loadVector(
            [MatrixSlice(table.info), MatrixSlice(norm.info)], from: MemoryWeightSource(table, norm))
        let values = Array(UnsafeBufferPointer(start: vector.start, count: vector.count))
        #expect(bits(values) == bits(table.values + [1, 2, 3]))
    }

    private static func roundedToBF16(_ value: Float) -> Float {
        let bits = value.bitPattern
        let down = Float(bitPattern: bits & 0xFFFF_0000), up = Float(bitPattern: (bits & 0xFFFF_0000) + 0x1_0000)
        let (below, above) = (abs(value - down), abs(up - value))
        if below == above { return bits & 0x1_0000 == 0 ? down : up }
        return below < above ? down : up
    }
}
