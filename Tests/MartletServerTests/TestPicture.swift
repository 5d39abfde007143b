/// PNG files made in place: one colour, stored (not compressed), so that their size is known and their maker short.
enum TestPicture {
    /// A `data:` URL of a `width` x `height` picture.
    static func url(_ width: Int, _ height: Int, grey: UInt8 = 128) -> String {
        "data:image/png;base64," + base64(png(width, height, grey: grey))
    }

    static func png(_ width: Int, _ height: Int, grey: UInt8 = 128) -> [UInt8] {
        var header = big(UInt32(width)) + big(UInt32(height))
        header += [8, 0, 0, 0, 0]  // 8-bit grey, no interlace
        let row = [0] + [UInt8](repeating: grey, count: width)
        let raw = Array(repeatElement(row, count: height).joined())
        return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + chunk("IHDR", header) + chunk("IDAT", zlib(raw))
            + chunk("IEND", [])
    }

    /// The header of a picture that claims any size, and nothing behind it.
    static func claim(_ width: Int, _ height: Int) -> String {
        let header = big(UInt32(width)) + big(UInt32(height)) + [8, 2, 0, 0, 0]
        let bytes = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + chunk("IHDR", header)
            + chunk("IDAT", zlib([0])) + chunk("IEND", [])
        return "data:image/png;base64," + base64(bytes)
    }

    private static func zlib(_ raw: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [0x78, 0x01]
        var start = 0
        repeat {
            let count = min(65535, raw.count - start)
            let isLast = start + count == raw.count
            let length = UInt16(count)
            bytes.append(isLast ? 1 : 0)
            for word in [length, ~length] { bytes += [UInt8(word & 255), UInt8(word >> 8)] }
            bytes += raw[start..<start + count]
            start += count
        } while start < raw.count
        var (a, b): (UInt32, UInt32) = (1, 0)
        for byte in raw {
            a = (a + UInt32(byte)) % 65521
            b = (b + a) % 65521
        }
        return bytes + big(b << 16 | a)
    }

    private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
        let body = Array(type.utf8) + data
        var crc = ~UInt32(0)
        for byte in body {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
        return big(UInt32(data.count)) + body + big(~crc)
    }

    private static func big(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
    }

    static func base64(_ bytes: [UInt8]) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var word = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            word <<= UInt32(8 * (3 - group.count))
            for place in 0..<4 {
                text.append(place > group.count ? UInt8(ascii: "=") : digits[Int(word >> UInt32(18 - 6 * place) & 63)])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
