import MartletTensor

/// How rows of one type lie in device memory: the fields of their blocks (MODEL.md 8.4) apart, each a plane
/// [rows][blocks of a row][bytes of the field], so that neighbouring threads read neighbouring bytes. Planes follow one
/// another, each from a multiple of `alignment` on. Plain types are one plane. `blocks.cuh` counts the same.
package struct BlockPlanes: Sendable, Equatable {
    package static let alignment = 256

    package let dtype: DType
    package let rows: Int
    package let columns: Int
    /// Of a block, in order.
    package let fieldBytes: [Int]
    /// Where each plane begins.
    package let offsets: [Int]
    /// Of all planes, to a multiple of the alignment.
    package let byteCount: Int

    /// `columns`: whole blocks. nil where the sizes overflow.
    package init?(_ dtype: DType, rows: Int, columns: Int) {
        precondition(rows >= 0 && columns > 0 && columns % dtype.blockElements == 0, "\(dtype) [\(rows), \(columns)]")
        (self.dtype, self.rows, self.columns) = (dtype, rows, columns)
        fieldBytes = Self.fieldBytes(of: dtype)
        var offsets: [Int] = [], end = 0
        for bytes in fieldBytes {
            offsets.append(end)
            let (plane, isTooLong) = rows.multipliedReportingOverflow(by: columns / dtype.blockElements * bytes)
            let (next, isTooFar) = end.addingReportingOverflow(plane)
            guard !isTooLong, !isTooFar, next <= Int.max - Self.alignment else { return nil }
            end = (next + Self.alignment - 1) / Self.alignment * Self.alignment
        }
        self.offsets = offsets
        byteCount = end
    }

    private static func fieldBytes(of dtype: DType) -> [Int] {
        switch dtype {
        case .f32, .f16, .bf16: [dtype.blockBytes]
        case .q4_0: [2, 16]
        case .q4_1: [4, 16]
        case .q5_0: [2, 4, 16]
        case .q5_1: [4, 4, 16]
        case .q8_0: [2, 32]
        case .q4_K: [4, 12, 128]
        case .q5_K: [4, 12, 32, 128]
        case .q6_K: [128, 64, 16, 2]
        }
    }

    /// Bytes of a row in plane `field`.
    package func rowBytes(_ field: Int) -> Int { columns / dtype.blockElements * fieldBytes[field] }

    /// Where row `row` begins in plane `field`.
    package func offset(_ field: Int, row: Int) -> Int { offsets[field] + row * rowBytes(field) }

    /// Puts the blocks of `stored` where row `row` has them in `planes`: bytes move, values stay (D8).
    package func scatter(_ stored: UnsafeRawPointer, row: Int, into planes: UnsafeMutableRawPointer) {
        guard dtype.isQuantized else {
            return (planes + row * rowBytes(0)).copyMemory(from: stored, byteCount: rowBytes(0))
        }
        var inBlock = 0
        for (field, bytes) in fieldBytes.enumerated() {
            let target = planes + offset(field, row: row)
            for block in 0..<columns / dtype.blockElements {
                (target + block * bytes).copyMemory(
                    from: stored + block * dtype.blockBytes + inBlock, byteCount: bytes)
            }
            inBlock += bytes
        }
    }
}
