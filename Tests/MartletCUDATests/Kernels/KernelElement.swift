/// Element types of operands and caches as kernels name them, and their bytes.
enum KernelElement: String, Sendable, CaseIterable {
    case f32, f16, bf16, i8

    var byteCount: Int { self == .f32 ? 4 : self == .i8 ? 1 : 2 }

    /// To the nearest; whole numbers for bytes.
    func bytes(of values: [Float]) -> [UInt8] {
        switch self {
        case .f32: values.flatMap { withUnsafeBytes(of: $0, Array.init) }
        case .f16: values.flatMap { withUnsafeBytes(of: Float16($0), Array.init) }
        case .bf16: values.flatMap { withUnsafeBytes(of: Self.bfloat($0), Array.init) }
        case .i8: values.map { UInt8(bitPattern: Int8($0.rounded())) }
        }
    }

    func values(of bytes: [UInt8]) -> [Float] {
        stride(from: 0, to: bytes.count, by: byteCount).map { first in
            var word: UInt32 = 0
            for byte in 0..<byteCount { word |= UInt32(bytes[first + byte]) << UInt32(8 * byte) }
            return switch self {
            case .f32: Float(bitPattern: word)
            case .f16: Float(Float16(bitPattern: UInt16(word)))
            case .bf16: Float(bitPattern: word << 16)
            case .i8: Float(Int8(bitPattern: UInt8(word)))
            }
        }
    }

    func rounded(_ values: [Float]) -> [Float] { self.values(of: bytes(of: values)) }

    /// How far attention may be from the scalar kernel's on the same rounded values of magnitude to 2: the weights and
    /// the result are rounded once each, and of bytes expanded in shared memory the values. Else f32 in another order.
    var attentionBound: Float {
        switch self {
        case .f16: 4e-3
        case .bf16: 3.2e-2
        default: 4e-6
        }
    }

    private static func bfloat(_ x: Float) -> UInt16 {
        guard !x.isNaN else { return 0x7FFF }
        return UInt16((x.bitPattern + 0x7FFF + (x.bitPattern >> 16 & 1)) >> 16)
    }
}
