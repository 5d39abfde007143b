import MartletCore
import MartletTensor
import Testing

@Suite struct QuantizedBlocksTests {
    /// Made by Tools/reference/quant_blocks.py: SHA-256 of the f32 values of eight blocks, the first and the last.
    static let golden: [(String, String, Float, Float)] = [
        (
            "F16", "bb1d497baa431dcbba29b6a20f8518f6c0b5e5499ca33020156ab6ec967652bb", -0.253173828125,
            -0.0017528533935546875
        ),
        (
            "BF16", "d5b5166b572bf7053652b3f85e86077cc92e812c1bde83552f6dd02a76be11c0", -1.3131648302078247e-07,
            -5.62224322594636e-25
        ),
        ("Q4_0", "ea27b999b068591805723159eb4a2d4683f5d83486e93d4d2e1d8655d0faf497", 0.2999267578125, -0.483642578125),
        ("Q4_1", "2120518f440f589c1b114b5c9b4b0574a91bf71ed43215a7ad07a49708f28e2a", 1.0997314453125, 1.81365966796875),
        ("Q5_0", "e2b9fcdac02b8fdb95549b1eb1862d7f326c821b358c31c98ba002f8f77dfc3f", 0.6998291015625, 0.2418212890625),
        ("Q5_1", "1e133eae4f211c78b7a58ea417dee177b0dc3ea09d8aa0d8c8379548a70aa370", 2.199462890625, 1.57183837890625),
        (
            "Q8_0", "1fa969b69ccf6d2c6fc9fa4bbae7ec9d7dfcd6735aecaaaf2b827499fec5635d", 9.0977783203125,
            -1.08819580078125
        ),
        ("Q4_K", "b49934688582f1d10a496bde6952c4e069c5bb6ce38b37ad60c2dc6fb89c6956", 60.6851806640625, 10.156494140625),
        (
            "Q5_K", "a8d6b84e5730cedaec3301c82f75115b4097acc12144977fb64acbcfd2eb8caf", 109.8731689453125,
            143.4000244140625
        ),
        (
            "Q6_K", "75ede062282beef3bab356d5504e08dd3cb6201940d2ee05716b8c7418ef9a38", -25.4937744140625,
            70.73272705078125
        ),
    ]

    /// The maker's bytes: a formula, with half-precision scales set to ordinary values.
    private func blocks(_ dtype: DType) -> [UInt8] {
        var bytes = (0..<8 * dtype.blockBytes).map { UInt8(truncatingIfNeeded: ($0 * 167 + 13) ^ ($0 >> 3)) }
        let scales: [Int] =
            switch dtype {
            case .f32, .f16, .bf16: []
            case .q4_0, .q5_0, .q8_0: [0]
            case .q4_1, .q5_1, .q4_K, .q5_K: [0, 2]
            case .q6_K: [208]
            }
        if scales.isEmpty { for index in stride(from: 1, to: bytes.count, by: 2) { bytes[index] &= 0xBF } }
        for block in 0..<8 {
            for (number, place) in scales.enumerated() {
                let half = UInt16(0x2E66 + 0x31 * block + 0x400 * number)
                bytes[block * dtype.blockBytes + place] = UInt8(half & 0xFF)
                bytes[block * dtype.blockBytes + place + 1] = UInt8(half >> 8)
            }
        }
        return bytes
    }

    @Test(arguments: golden.indices) func valuesAreThoseOfTheReferenceDecoder(index: Int) throws {
        let (name, digest, first, last) = Self.golden[index]
        let dtype = try #require(DType(rawValue: name))
        let values = blocks(dtype).withUnsafeBytes { QuantizedBlocks.dequantize($0, dtype: dtype) }
        #expect(values.count == 8 * dtype.blockElements)
        #expect(values.first == first)
        #expect(values.last == last)
        #expect(values.withUnsafeBytes { Digest(of: $0) }.description == digest)
    }

    @Test func plainFloatsAreThemselves() {
        let values: [Float] = [0, -0.0, 1.5, -.infinity, .leastNonzeroMagnitude]
        let bytes = values.withUnsafeBytes { [UInt8]($0) }
        let read = bytes.withUnsafeBytes { QuantizedBlocks.dequantize($0, dtype: .f32) }
        #expect(read.map(\.bitPattern) == values.map(\.bitPattern))
    }
}
