import MartletTensor

/// A tensor as a file holds it.
package struct StoredTensor {
    package let info: TensorInfo
    package let bytes: [UInt8]

    /// Random bytes; the scales of quantised blocks are small finite halves of either sign.
    package init(_ name: String, dtype: DType, rows: Int, columns: Int, seed: UInt64 = 1) {
        var generator = SeededGenerator(seed: seed &* 31 &+ UInt64(rows * 7 + columns))
        info = TensorInfo(name: name, dtype: dtype, shape: [rows, columns])
        if dtype.isQuantized {
            var bytes = (0..<rows * info.rowBytes).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            for block in stride(from: 0, to: bytes.count, by: dtype.blockBytes) {
                for place in dtype.scalePlaces {
                    let scale = Float16(Float.random(in: -0.02...0.02, using: &generator)).bitPattern
                    bytes[block + place] = UInt8(scale & 255)
                    bytes[block + place + 1] = UInt8(scale >> 8)
                }
            }
            self.bytes = bytes
        } else {
            bytes = generator.floats(rows * columns).flatMap { dtype.plainBytes($0) }
        }
    }

    package init(_ info: TensorInfo, bytes: [UInt8]) {
        self.info = info
        self.bytes = bytes
    }

    /// [rows * columns], by the plainest reading of MODEL.md 8.4.
    package var values: [Float] {
        let blocks = stride(from: 0, to: bytes.count, by: info.dtype.blockBytes)
        return blocks.flatMap { info.dtype.decode(Array(bytes[$0..<$0 + info.dtype.blockBytes])) }
    }
}

/// A checkpoint of a few tensors in memory.
package final class MemoryWeightSource: WeightSource {
    private let tensors: [String: StoredTensor]

    package convenience init(_ tensors: StoredTensor...) { self.init(tensors) }

    package init(_ tensors: [StoredTensor]) {
        self.tensors = Dictionary(uniqueKeysWithValues: tensors.map { ($0.info.name, $0) })
    }

    package func info(_ name: String) -> TensorInfo? { tensors[name]?.info }

    package func withRows<Result>(
        _ name: String, _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        guard let tensor = tensors[name] else { throw WeightError(file: "memory", tensor: name, reason: "missing") }
        return try tensor.bytes.withUnsafeBytes { bytes in
            let rowBytes = tensor.info.rowBytes
            let rows = bytes[range.lowerBound * rowBytes..<range.upperBound * rowBytes]
            return try body(UnsafeRawBufferPointer(rebasing: rows))
        }
    }

    package func discard(_ name: String) {}
}

extension DType {
    /// Where the halves of a block stand.
    package var scalePlaces: [Int] {
        switch self {
        case .f32, .f16, .bf16: []
        case .q4_0, .q5_0, .q8_0: [0]
        case .q4_1, .q5_1, .q4_K, .q5_K: [0, 2]
        case .q6_K: [208]
        }
    }

    package func plainBytes(_ value: Float) -> [UInt8] {
        switch self {
        case .f32: return withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
        case .f16: return withUnsafeBytes(of: Float16(value).bitPattern.littleEndian) { Array($0) }
        default: return withUnsafeBytes(of: UInt16(value.bitPattern >> 16).littleEndian) { Array($0) }
        }
    }

    /// The elements of one stored block.
    package func decode(_ b: [UInt8]) -> [Float] {
        func half(_ at: Int) -> Float { Float(Float16(bitPattern: UInt16(b[at]) | UInt16(b[at + 1]) << 8)) }
        func word(_ at: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(b[at + $1]) << UInt32(8 * $1) } }
        /// Element i of sixteen bytes of nibbles.
        func nibble(_ at: Int, _ i: Int) -> Int { Int(i < 16 ? b[at + i] & 15 : b[at + i - 16] >> 4) }
        func fifth(_ at: Int, _ i: Int) -> Int { Int(word(at) >> UInt32(i) & 1) * 16 }
        switch self {
        case .f32: return [Float(bitPattern: word(0))]
        case .f16: return [half(0)]
        case .bf16: return [Float(bitPattern: (UInt32(b[0]) | UInt32(b[1]) << 8) << 16)]
        case .q4_0: return (0..<32).map { Float(nibble(2, $0) - 8) * half(0) }
        case .q4_1: return (0..<32).map { Float(nibble(4, $0)) * half(0) + half(2) }
        case .q5_0: return (0..<32).map { Float(nibble(6, $0) + fifth(2, $0) - 16) * half(0) }
        case .q5_1: return (0..<32).map { Float(nibble(8, $0) + fifth(4, $0)) * half(0) + half(2) }
        case .q8_0: return (0..<32).map { Float(Int8(bitPattern: b[2 + $0])) * half(0) }
        case .q4_K, .q5_K: return decodeK4(b, d: half(0), minimum: half(2))
        case .q6_K: return decodeK6(b, d: half(208))
        }
    }

    private func decodeK4(_ b: [UInt8], d: Float, minimum dmin: Float) -> [Float] {
        let sc = b[4..<16].map(Int.init)
        let quants = self == .q5_K ? 48 : 16
        return (0..<256).map { i in
            let (j, l) = (i / 32, i % 32)
            let scale = j < 4 ? sc[j] & 63 : (sc[j + 4] & 15) + 16 * (sc[j - 4] >> 6)
            let minimum = j < 4 ? sc[j + 4] & 63 : (sc[j + 4] >> 4) + 16 * (sc[j] >> 6)
            let byte = Int(b[quants + 32 * (j / 2) + l])
            var quant = j % 2 == 0 ? byte & 15 : byte >> 4
            if self == .q5_K { quant += 16 * (Int(b[16 + l]) >> j & 1) }
            return d * Float(scale) * Float(quant) - dmin * Float(minimum)
        }
    }

    private func decodeK6(_ b: [UInt8], d: Float) -> [Float] {
        var values = [Float](repeating: 0, count: 256)
        for t in 0..<2 {
            for l in 0..<32 {
                let (l1, l2, high) = (Int(b[64 * t + l]), Int(b[64 * t + 32 + l]), Int(b[128 + 32 * t + l]))
                let quants = [
                    (l1 & 15) + 16 * (high & 3), (l2 & 15) + 16 * (high >> 2 & 3),
                    (l1 >> 4) + 16 * (high >> 4 & 3), (l2 >> 4) + 16 * (high >> 6 & 3),
                ]
                for (k, quant) in quants.enumerated() {
                    let scale = Int8(bitPattern: b[192 + 8 * t + 2 * k + l / 16])
                    values[128 * t + 32 * k + l] = d * Float(scale) * Float(quant - 32)
                }
            }
        }
        return values
    }
}
