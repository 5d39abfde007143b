import CMartletKernels
import MartletCore
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletCPU

/// Panels that a file has ready: used where they lie, copied, or taken apart; always the same bits.
struct PackedPanelsTests {
    /// A checkpoint whose tensors lie in panels, one after the other in one piece of memory.
    private final class PackedSource: WeightSource, @unchecked Sendable {
        private let tensors: [(info: TensorInfo, start: Int, count: Int)]
        private let memory: UnsafeMutableRawBufferPointer
        private let layout: String

        init(_ stored: [StoredTensor], layout: String = CPUBackend.panelLayout) throws {
            self.layout = layout
            let backend = try CPUBackend(threads: 1, workspaceCount: 1)
            var bytes: [UInt8] = [], tensors: [(TensorInfo, Int, Int)] = []
            for tensor in stored {
                let matrix = try backend.loadMatrix(
                    [MatrixSlice(tensor.info)], from: MemoryWeightSource(tensor), dtype: nil)
                tensors.append((tensor.info, bytes.count, matrix.byteCount))
                matrix.withPanels { bytes += $0 }
            }
            self.tensors = tensors.map { (info: $0.0, start: $0.1, count: $0.2) }
            memory = .allocate(byteCount: bytes.count, alignment: 64)
            memory.copyBytes(from: bytes)
        }

        deinit { memory.deallocate() }

        func info(_ name: String) -> TensorInfo? { tensors.first { $0.info.name == name }?.info }

        func withRows<Result>(
            _ name: String, _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
        ) throws -> Result { throw WeightError(file: "packed", tensor: name, reason: "has no rows") }

        func panels(_ name: String) -> PackedPanels? {
            tensors.first { $0.info.name == name }.map { tensor in
                let bytes = UnsafeRawBufferPointer(rebasing: memory[tensor.start..<tensor.start + tensor.count])
                return PackedPanels(file: "packed", layout: layout, bytes: bytes, owner: self)
            }
        }

        func discard(_ name: String) {}
    }

    private func rows(of matrix: CPUBackend.Matrix, _ backend: CPUBackend) throws -> [UInt32] {
        let y = try backend.makeActivation(rows: matrix.rows, width: matrix.columns)
        backend.embed((0..<matrix.rows).map { TokenID($0) }, table: matrix, firstRow: 0, into: y)
        return bits(backend.read(y))
    }

    @Test(arguments: DType.allCases)
    func `lent, copied or cut, panels have the values of the file`(dtype: DType) throws {
        let a = StoredTensor("a", dtype: dtype, rows: 48, columns: 512, seed: 1)
        let b = StoredTensor("b", dtype: dtype, rows: 21, columns: 512, seed: 2)
        let plain = MemoryWeightSource(a, b), packed = try PackedSource([a, b])
        let block = max(dtype.blockElements, 8)
        func slice(_ name: String, _ rows: Range<Int>, _ columns: Range<Int> = 0..<512) -> MatrixSlice {
            MatrixSlice(name: name, rows: rows, columns: columns)
        }
        let cases: [(slices: [MatrixSlice], isLent: Bool, segments: Int)] = [
            ([slice("a", 0..<48), slice("b", 0..<21)], true, 1),
            ([slice("b", 0..<21), slice("a", 0..<48)], true, 2),
            ([slice("a", 16..<32)], true, 1), ([slice("b", 16..<21)], true, 1),
            ([slice("a", 0..<40)], false, 1), ([slice("a", 5..<48)], false, 1), ([slice("b", 16..<20)], false, 1),
            ([slice("a", 0..<48, block..<512)], false, 1),
            ([slice("a", 0..<16), slice("b", 3..<20), slice("a", 32..<48)], false, 3),
        ]
        for copies in [false, true] {
            let backend = try CPUBackend(threads: 2, copiesPanels: copies)
            for (slices, isLent, segments) in cases {
                let expected = try backend.loadMatrix(slices, from: plain, dtype: nil)
                let matrix = try backend.loadMatrix(slices, from: packed, dtype: nil)
                #expect(try rows(of: matrix, backend) == rows(of: expected, backend), "\(slices)")
                if isLent { #expect((matrix.byteCount == 0) == !copies, "\(slices)") }
                if !copies { #expect(matrix.segments.count == segments, "\(slices)") }
            }
        }
    }

    @Test(arguments: [DType.f32, .f16, .q8_0, .q4_0])
    func `packed plain weights convert as rows do`(dtype: DType) throws {
        let backend = try CPUBackend(threads: 2)
        let tensor = StoredTensor("w", dtype: .bf16, rows: 20, columns: 64)
        let slice = [MatrixSlice(tensor.info)]
        let expected = try backend.loadMatrix(slice, from: MemoryWeightSource(tensor), dtype: dtype)
        let matrix = try backend.loadMatrix(slice, from: PackedSource([tensor]), dtype: dtype)
        #expect(matrix.dtypes == [dtype])
        #expect(try rows(of: matrix, backend) == rows(of: expected, backend))
    }

    @Test func `a matrix keeps the memory of its panels`() throws {
        let backend = try CPUBackend(threads: 1)
        let tensor = StoredTensor("w", dtype: .q4_0, rows: 16, columns: 64)
        var source: PackedSource? = try PackedSource([tensor])
        weak let held = source
        var matrix: CPUBackend.Matrix? = try backend.loadMatrix(
            [MatrixSlice(tensor.info)], from: #require(source), dtype: nil)
        source = nil
        #expect(held != nil)
        withExtendedLifetime(matrix) {}
        matrix = nil
        #expect(held == nil)
    }

    @Test func `panels of another layout are refused`() throws {
        let backend = try CPUBackend(threads: 1)
        let tensor = StoredTensor("w", dtype: .q4_0, rows: 16, columns: 64)
        let source = try PackedSource([tensor], layout: "panel99.7")
        let error = #expect(throws: WeightError.self) {
            try backend.loadMatrix([MatrixSlice(tensor.info)], from: source, dtype: nil)
        }
        #expect(error?.reason.contains("panel99.7") == true && error?.reason.contains(CPUBackend.panelLayout) == true)
        #expect(!CPUBackend.panelLayout.isEmpty && PackedPanels.panelRows == CPUBackend.Matrix.panelRows)
    }
}
