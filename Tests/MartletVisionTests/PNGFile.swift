/// Just enough of PNG to lie well: chunks with right checksums around wrong contents.
enum PNGFile {
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { value, _ in value >> 1 ^ (value & 1 == 1 ? 0xEDB8_8320 : 0) }
    }

    static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var value = UInt32.max
        for byte in bytes { value = table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] ^ value >> 8 }
        return ~value
    }

    static func bigEndian(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    static func chunk(_ tag: String, _ body: [UInt8]) -> [UInt8] {
        let named = Array(tag.utf8) + body
        return bigEndian(UInt32(body.count)) + named + bigEndian(checksum(named))
    }

    /// `file` with another size in its header.
    static func resized(_ file: [UInt8], width: Int, height: Int) throws -> [UInt8] {
        var bytes = file
        bytes.replaceSubrange(16..<24, with: bigEndian(UInt32(width)) + bigEndian(UInt32(height)))
        mendChecksums(&bytes)
        return bytes
    }

    /// Makes the checksum of every whole chunk right, so that a mutation reaches the code behind it.
    static func mendChecksums(_ bytes: inout [UInt8]) {
        guard bytes.count > 8, bytes[1] == 0x50, bytes[2] == 0x4E else { return }
        var at = 8
        while bytes.count - at >= 12 {
            let length = bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
            guard length <= bytes.count - at - 12 else { return }
            let end = at + 8 + length
            bytes.replaceSubrange(end..<end + 4, with: bigEndian(checksum(bytes[at + 4..<end])))
            at = end + 4
        }
    }
}
