import MartletTensor

@testable import MartletCPU

/// A checkpoint seen as the f32 values that its stored blocks have: what quantised copies are compared with.
final class PlainWeights: WeightSource {
    private let source: any WeightSource

    init(of source: any WeightSource) { self.source = source }

    func info(_ name: String) -> TensorInfo? {
        source.info(name).map { TensorInfo(name: name, dtype: .f32, shape: $0.shape) }
    }

    /// Through a backend of its own: packing is exact (PackedMatrixTests), and fast in a debug build.
    func withRows<Result>(
        _ name: String, _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        guard let info = source.info(name) else { throw WeightError(file: "plain", tensor: name, reason: "missing") }
        let slice = MatrixSlice(name: name, rows: range, columns: 0..<info.columns)
        let backend = try CPUBackend(threads: 1, workspaceCount: 1)
        let matrix = try backend.loadMatrix([slice], from: source, dtype: nil)
        let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: range.count * info.columns)
        defer { values.deallocate() }
        if let base = values.baseAddress {
            for row in 0..<range.count { backend.unpackRow(row, of: matrix, into: base + row * info.columns) }
        }
        return try body(UnsafeRawBufferPointer(values))
    }

    func discard(_ name: String) {}
}
