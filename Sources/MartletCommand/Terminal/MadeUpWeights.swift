import MartletTensor

/// Matrices of any size for measuring: the same sixteen rows of made-up blocks over and over. Values are of a trained
/// matrix's size, so that no product is slow for denormals or infinities.
final class MadeUpWeights: WeightSource {
    private let matrix: TensorInfo
    private let block: [UInt8]

    /// Rows that may be lent at once.
    private static let rowLimit = 16

    init(_ dtype: DType, rows: Int, columns: Int) {
        matrix = TensorInfo(name: "made-up", dtype: dtype, shape: [rows, columns])
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.rowLimit * matrix.rowBytes)
        var state: UInt32 = 1
        for index in 0..<Self.rowLimit * matrix.rowBytes {
            state = state &* 1_664_525 &+ 1_013_904_223
            bytes.append(Self.byte(index % dtype.blockBytes, of: dtype, random: UInt8(state >> 24)))
        }
        block = bytes
    }

    /// The whole matrix.
    var slice: MatrixSlice { MatrixSlice(matrix) }

    func info(_ name: String) -> TensorInfo? { name == matrix.name ? matrix : nil }

    func withRows<Result>(
        _ name: String, _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        guard name == matrix.name, range.count <= Self.rowLimit else {
            throw WeightError(file: "made-up", tensor: name, reason: "has no rows \(range)")
        }
        return try block.withUnsafeBytes {
            try body(UnsafeRawBufferPointer(rebasing: $0[..<(range.count * matrix.rowBytes)]))
        }
    }

    func discard(_ name: String) {}

    /// Byte `index` of a block: quants at random, scales and plain values of about 2^-7.
    private static func byte(_ index: Int, of dtype: DType, random: UInt8) -> UInt8 {
        switch dtype {
        case .f32: index == 3 ? 0x3C : index == 2 ? random & 0x7F : random
        case .bf16: index == 1 ? 0x3C | random & 0x80 : random & 0x7F
        case .f16: index == 1 ? 0x20 | random & 0x80 : random
        case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0:
            // The scale, and the minimum where there is one, are halves at the start.
            index == 1 || index == 3 && (dtype == .q4_1 || dtype == .q5_1) ? 0x20 : random
        case .q4_K, .q5_K: index == 1 || index == 3 ? 0x10 : random
        case .q6_K: index == 209 ? 0x10 : random
        }
    }
}
