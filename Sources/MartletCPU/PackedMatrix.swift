import CMartletKernels
import MartletTensor

extension CPUBackend {
    /// A weight matrix [rows, columns] in panels of 16 rows, in its storage precision: one or more segments, in memory
    /// of its own or in that of a ready-packed file. Packing moves bytes and changes no value (D8).
    package final class Matrix {
        /// Consecutive rows of one dtype, beginning at a panel of their own.
        struct Segment {
            let dtype: DType
            /// Rows of the matrix.
            let rows: Range<Int>
            /// Its panels, one after the other, aligned to 64 bytes.
            let start: UnsafeRawPointer

            var panelCount: Int { (rows.count + Matrix.panelRows - 1) / Matrix.panelRows }
        }

        /// Rows that become a segment.
        struct Part {
            let dtype: DType
            var rows: Int
            /// Their panels in memory of `lender`; nil for panels that the matrix is to have itself.
            var lent: (start: UnsafeRawPointer, lender: AnyObject)?
        }

        static let panelRows = Int(MARTLET_PANEL_ROWS)

        package let rows: Int
        package let columns: Int
        let segments: [Segment]
        private let memory: HugeMemory
        private let lenders: [AnyObject]

        /// Panels for `parts`, stacked: those that are lent, and zeroed ones. Throws `MemoryError`.
        init(_ parts: [Part], columns: Int) throws(MemoryError) {
            var offsets: [Int] = []
            var offset = 0
            for part in parts {
                offsets.append(offset)
                guard part.lent == nil else { continue }
                let (bytes, overflow) = Self.panelBytes(part.dtype, columns: columns)
                    .multipliedReportingOverflow(by: (part.rows + Self.panelRows - 1) / Self.panelRows)
                let (end, tooFar) = bytes.addingReportingOverflow(offset + 63)
                guard !overflow, !tooFar else { throw MemoryError(byteCount: .max) }
                offset = end / 64 * 64
            }
            memory = try HugeMemory(byteCount: offset)
            var row = 0
            var segments: [Segment] = []
            for (part, offset) in zip(parts, offsets) {
                let start = part.lent?.start ?? UnsafeRawPointer(memory.start + offset)
                segments.append(Segment(dtype: part.dtype, rows: row..<row + part.rows, start: start))
                row += part.rows
            }
            lenders = parts.compactMap { $0.lent?.lender }
            rows = row
            self.columns = columns
            self.segments = segments
        }

        /// Bytes of its own memory, padding included: 0 where all panels are lent.
        package var byteCount: Int { memory.byteCount }

        /// Stored types of the segments, in order of rows.
        package var dtypes: [DType] { segments.map(\.dtype) }

        /// Lends the panels of a matrix that is one segment and its own, padded with zeros to 64 bytes: what a
        /// ready-packed file holds of a tensor. Their layout is `CPUBackend.panelLayout`.
        package func withPanels<Result, Failure: Error>(
            _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
        ) throws(Failure) -> Result {
            precondition(segments.count == 1 && lenders.isEmpty, "\(segments.count) segments")
            return try body(UnsafeRawBufferPointer(start: memory.start, count: memory.byteCount))
        }

        static func panelBytes(_ dtype: DType, columns: Int) -> Int {
            columns / dtype.blockElements * dtype.blockBytes * panelRows
        }

        /// Panel `index` of a segment, to be written: never of one that is lent.
        func panel(_ index: Int, of segment: Segment) -> UnsafeMutableRawPointer {
            UnsafeMutableRawPointer(mutating: segment.start) + index * Self.panelBytes(segment.dtype, columns: columns)
        }

        /// A segment as the kernels take it. The matrix must outlive the use.
        func kernelMatrix(_ segment: Segment) -> martlet_matrix {
            martlet_matrix(
                panels: segment.start, rows: segment.rows.count, columns: columns, dtype: segment.dtype.kernelType)
        }
    }
}
