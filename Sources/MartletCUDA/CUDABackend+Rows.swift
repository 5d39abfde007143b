import CCUDA
import MartletCore
import MartletTensor

// MARK: - Rows

extension CUDABackend {
    package func embed(_ tokens: [TokenID], table: Matrix, firstRow: Int, into y: Activation<Storage>) {
        precondition(tokens.count == y.rows && table.columns == y.width, "[\(tokens.count), \(table.columns)]")
        precondition(table.segments.count == 1 && y.dtype == .f32, "a table of one type, into f32")
        let places = tokens.lazy.compactMap(KeptToken.place)
        precondition(places.allSatisfy { $0 < kept.count }, "a token that was never kept")
        let segment = table.segments[0]
        perform {
            try launch(
                KernelName(.embed, segment.dtype), grid: (y.rows, 1, 1), threads: 256, staging.put(tokens),
                kept.address, Int32(firstRow), Int32(table.rows), table.address(segment), Int32(table.columns),
                y.address, y.kernelStride)
        }
    }

    package func copyRows(
        _ sources: [Int], of x: Activation<Storage>, to targets: [Int], of y: Activation<Storage>
    ) {
        precondition(sources.count == targets.count && x.width == y.width, "rows or widths differ")
        precondition(sources.allSatisfy { (0..<x.rows).contains($0) }, "no such rows")
        precondition(targets.allSatisfy { (0..<y.rows).contains($0) }, "no such rows")
        precondition(x.dtype == .f32 && y.dtype == .f32, "rows of f32")
        perform {
            // One copy brings both.
            let indices = try staging.put(sources.map(Int32.init) + targets.map(Int32.init))
            let bytes = UInt64(sources.count * MemoryLayout<Int32>.stride)
            try launch(
                KernelName(.copyRows), grid: (sources.count, 1, 1), threads: 256, indices, indices + bytes, x.address,
                x.kernelStride, y.address, y.kernelStride, x.kernelWidth)
        }
    }

    package func add(_ y: Activation<Storage>, to x: Activation<Storage>) {
        precondition(x.rows == y.rows && x.width == y.width, "[\(x.rows), \(x.width)] + [\(y.rows), \(y.width)]")
        precondition(x.dtype == .f32 && y.dtype == .f32, "sums are f32")
        guard x.rows <= Self.gridRows else {
            return Self.strips(x.rows).forEach { add(y.rows($0), to: x.rows($0)) }
        }
        perform {
            try launch(
                KernelName(.add), grid: Self.elements(x), threads: 256, y.address, y.kernelStride, x.address,
                x.kernelStride, x.kernelWidth)
        }
    }

    /// Rows that a grid may have where they lie along its second side.
    static let gridRows = 65535

    /// So many rows at a time.
    static func strips(_ rows: Int) -> [Range<Int>] {
        stride(from: 0, to: rows, by: gridRows).map { $0..<min($0 + gridRows, rows) }
    }

    /// A thread an element: blocks of 256 across, rows down.
    static func elements(_ x: Activation<Storage>) -> (Int, Int, Int) { ((x.width + 255) / 256, x.rows, 1) }
}
