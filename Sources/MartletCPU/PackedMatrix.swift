import CMartletKernels
import MartletTensor

extension CPUBackend {
    /// A weight matrix [rows, columns] in panels of 16 rows, in its storage precision: one mapping, one or more
    /// segments. Packing moves bytes and changes no value (D8).
    package final class Matrix {
        /// Consecutive rows of one dtype, beginning at a panel of their own.
        struct Segment {
            let dtype: DType
            /// Rows of the matrix.
            let rows: Range<Int>
            /// In bytes from the start of the memory; a multiple of 64.
            let offset: Int

            var panelCount: Int { (rows.count + Matrix.panelRows - 1) / Matrix.panelRows }
        }

        static let panelRows = Int(MARTLET_PANEL_ROWS)

        package let rows: Int
        package let columns: Int
        let segments: [Segment]
        private let memory: HugeMemory

        /// Zeroed panels for `parts`, stacked. Throws `MemoryError`.
        init(_ parts: [(dtype: DType, rows: Int)], columns: Int) throws(MemoryError) {
            var segments: [Segment] = []
            var offset = 0
            var row = 0
            for part in parts {
                let segment = Segment(dtype: part.dtype, rows: row..<row + part.rows, offset: offset)
                segments.append(segment)
                row += part.rows
                let (bytes, overflow) = Self.panelBytes(part.dtype, columns: columns)
                    .multipliedReportingOverflow(by: segment.panelCount)
                let (end, tooFar) = bytes.addingReportingOverflow(offset + 63)
                guard !overflow, !tooFar else { throw MemoryError(byteCount: .max) }
                offset = end / 64 * 64
            }
            memory = try HugeMemory(byteCount: offset)
            rows = row
            self.columns = columns
            self.segments = segments
        }

        /// Bytes of the packed weights, padding included.
        package var byteCount: Int { memory.byteCount }

        /// Stored types of the segments, in order of rows.
        package var dtypes: [DType] { segments.map(\.dtype) }

        static func panelBytes(_ dtype: DType, columns: Int) -> Int {
            columns / dtype.blockElements * dtype.blockBytes * panelRows
        }

        /// Panel `index` of a segment.
        func panel(_ index: Int, of segment: Segment) -> UnsafeMutableRawPointer {
            memory.start + segment.offset + index * Self.panelBytes(segment.dtype, columns: columns)
        }

        /// A segment as the kernels take it. The matrix must outlive the use.
        func kernelMatrix(_ segment: Segment) -> martlet_matrix {
            martlet_matrix(
                panels: UnsafeRawPointer(memory.start + segment.offset), rows: segment.rows.count, columns: columns,
                dtype: segment.dtype.kernelType)
        }
    }
}
