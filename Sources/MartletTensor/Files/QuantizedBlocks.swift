/// The values of stored elements, block by block as MODEL.md 8.4 writes them: the plain twin that every fast
/// kernel is compared with. Results are those of ggml's reference decoder, bit for bit.
package enum QuantizedBlocks {
    /// The f32 values of `bytes`, which are whole blocks of `dtype`.
    package static func dequantize(_ bytes: UnsafeRawBufferPointer, dtype: DType) -> [Float] {
        precondition(bytes.count % dtype.blockBytes == 0, "\(bytes.count) bytes are not whole \(dtype) blocks")
        var values: [Float] = []
        values.reserveCapacity(bytes.count / dtype.blockBytes * dtype.blockElements)
        for start in stride(from: 0, to: bytes.count, by: dtype.blockBytes) {
            let block = UnsafeRawBufferPointer(rebasing: bytes[start..<start + dtype.blockBytes])
            switch dtype {
            case .f32: values.append(Float(bitPattern: littleEndian(block, 0)))
            case .f16: values.append(half(block, 0))
            case .bf16: values.append(Float(bitPattern: UInt32(littleEndian(block, 0) as UInt16) << 16))
            case .q4_0, .q4_1, .q5_0, .q5_1: values += nibbles(block, dtype)
            case .q8_0: values += (0..<32).map { Float(Int8(bitPattern: block[2 + $0])) * half(block, 0) }
            case .q4_K, .q5_K: values += superBlock(block, highBits: dtype == .q5_K)
            case .q6_K: values += sixBits(block)
            }
        }
        return values
    }

    private static func littleEndian<Value: FixedWidthInteger>(
        _ block: UnsafeRawBufferPointer, _ offset: Int
    ) -> Value {
        Value(littleEndian: block.loadUnaligned(fromByteOffset: offset, as: Value.self))
    }

    private static func half(_ block: UnsafeRawBufferPointer, _ offset: Int) -> Float {
        Float(Float16(bitPattern: littleEndian(block, offset)))
    }

    /// Q4_0, Q4_1, Q5_0, Q5_1: 32 elements, low nibbles first.
    private static func nibbles(_ block: UnsafeRawBufferPointer, _ dtype: DType) -> [Float] {
        let hasMinimum = dtype == .q4_1 || dtype == .q5_1
        let hasHighBits = dtype == .q5_0 || dtype == .q5_1
        let scale = half(block, 0)
        var offset = 2
        var minimum: Float = 0
        if hasMinimum {
            minimum = half(block, 2)
            offset = 4
        }
        var highBits: UInt32 = 0
        if hasHighBits {
            highBits = littleEndian(block, offset)
            offset += 4
        }
        return (0..<32).map { element in
            let byte = block[offset + element % 16]
            let quant = Int(element < 16 ? byte & 15 : byte >> 4) + Int(highBits >> UInt32(element) & 1) * 16
            if hasMinimum { return Float(quant) * scale + minimum }
            return Float(quant - (hasHighBits ? 16 : 8)) * scale
        }
    }

    /// Q4_K and Q5_K: eight sub-blocks of 32 with 6-bit scales and minima.
    private static func superBlock(_ block: UnsafeRawBufferPointer, highBits: Bool) -> [Float] {
        let scale = half(block, 0)
        let minimumScale = half(block, 2)
        let quants = highBits ? 48 : 16
        var values: [Float] = []
        for sub in 0..<8 {
            let packed = { (index: Int) in Int(block[4 + index]) }
            let (factor, minimum) =
                sub < 4
                ? (packed(sub) & 63, packed(sub + 4) & 63)
                : (
                    packed(sub + 4) & 15 | (packed(sub - 4) >> 6) * 16,
                    packed(sub + 4) >> 4 | (packed(sub) >> 6) * 16
                )
            let subScale = scale * Float(factor)
            let subMinimum = minimumScale * Float(minimum)
            for element in 0..<32 {
                let byte = block[quants + 32 * (sub / 2) + element]
                var quant = Int(sub % 2 == 0 ? byte & 15 : byte >> 4)
                if highBits { quant += Int(block[16 + element] >> UInt8(sub) & 1) * 16 }
                values.append(subScale * Float(quant) - subMinimum)
            }
        }
        return values
    }

    /// Q6_K: two halves of 128, sixteen 8-bit scales, the block's scale last.
    private static func sixBits(_ block: UnsafeRawBufferPointer) -> [Float] {
        let scale = half(block, 208)
        var values = [Float](repeating: 0, count: 256)
        for part in 0..<2 {
            for element in 0..<32 {
                let low = block[64 * part + element]
                let high = block[64 * part + 32 + element]
                let bits = block[128 + 32 * part + element]
                let quants = [low & 15, high & 15, low >> 4, high >> 4]
                for k in 0..<4 {
                    let quant = Int(quants[k] | (bits >> UInt8(2 * k) & 3) * 16) - 32
                    let factor = Int8(bitPattern: block[192 + 8 * part + 2 * k + element / 16])
                    values[128 * part + 32 * k + element] = scale * Float(factor) * Float(quant)
                }
            }
        }
        return values
    }
}
