/// GPT-2's spelling of bytes as printable characters: vocabulary files hold text, tokens hold bytes.
enum ByteAlphabet {
    /// Scalar of every byte: itself where it is printable Latin-1, else the next from U+0100.
    static let scalars: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (UInt8.min...UInt8.max).map { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return Unicode.Scalar(byte)
            default:
                defer { next += 1 }
                return Unicode.Scalar(next) ?? " "
            }
        }
    }()

    /// Byte of every scalar below U+0144, -1 where it spells none.
    private static let bytes: [Int16] = {
        var table = [Int16](repeating: -1, count: 0x144)
        for (byte, scalar) in scalars.enumerated() { table[Int(scalar.value)] = Int16(byte) }
        return table
    }()

    /// Appends the bytes that `spelling`, in UTF-8, spells; false, and nothing appended, if a character is not of the
    /// alphabet.
    static func append(_ spelling: some Sequence<UInt8>, to output: inout [UInt8]) -> Bool {
        let start = output.count
        var lead: Int?
        for unit in spelling {
            // The alphabet's characters take one or two bytes.
            let value: Int
            if let high = lead {
                value = high << 6 | Int(unit & 0x3F)
                lead = nil
            } else if unit >= 0xC0 && unit < 0xE0 {
                lead = Int(unit & 0x1F)
                continue
            } else {
                value = unit < 0x80 ? Int(unit) : .max
            }
            guard value < bytes.count, bytes[value] >= 0 else {
                output.removeSubrange(start...)
                return false
            }
            output.append(UInt8(truncatingIfNeeded: bytes[value]))
        }
        return true
    }

    /// The spelling of `bytes`.
    static func spelling(of bytes: some Sequence<UInt8>) -> String {
        var text = String.UnicodeScalarView()
        for byte in bytes { text.append(scalars[Int(byte)]) }
        return String(text)
    }
}
