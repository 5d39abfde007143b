import CCUDA
import MartletCPU
import MartletTensor

extension CUDABackend {
    /// A weight matrix [rows, columns] in memory of the device: one or more segments, each in planes of its type.
    package final class Matrix {
        /// Consecutive rows of one type.
        struct Segment {
            /// Of the matrix.
            let rows: Range<Int>
            let planes: BlockPlanes
            /// In bytes from the start of the memory.
            let offset: Int

            var dtype: DType { planes.dtype }
        }

        package let rows: Int
        package let columns: Int
        let segments: [Segment]
        private let memory: DeviceBuffer

        /// Memory for segments of so many rows and such types, stacked; contents are undefined.
        init(_ parts: [(dtype: DType, rows: Int)], columns: Int, on stream: DeviceStream) throws {
            var segments: [Segment] = [], row = 0, offset = 0
            for part in parts {
                guard let planes = BlockPlanes(part.dtype, rows: part.rows, columns: columns) else {
                    throw MemoryError(byteCount: .max)
                }
                segments.append(Segment(rows: row..<row + part.rows, planes: planes, offset: offset))
                let (end, isTooFar) = offset.addingReportingOverflow(planes.byteCount)
                guard !isTooFar else { throw MemoryError(byteCount: .max) }
                (row, offset) = (row + part.rows, end)
            }
            memory = try DeviceBuffer(offset, for: .weights, on: stream)
            rows = row
            self.columns = columns
            self.segments = segments
        }

        package var byteCount: Int { memory.byteCount }

        /// Stored types of the segments, in order of rows.
        package var dtypes: [DType] { segments.map(\.dtype) }

        /// The first plane of a segment.
        func address(_ segment: Segment) -> CUdeviceptr { memory.address + UInt64(segment.offset) }
    }
}
