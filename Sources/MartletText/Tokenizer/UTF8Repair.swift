/// Reads bytes as UTF-8 the way Python's `decode("utf-8", "replace")` does: every maximal part of a broken sequence
/// becomes one U+FFFD (Unicode 3.9, "substitution of maximal subparts").
enum UTF8Repair {
    /// What stands at an offset.
    enum Piece {
        /// A whole scalar of so many bytes.
        case scalar(Int)
        /// So many bytes that can never become a scalar.
        case broken(Int)
        /// The bytes end inside what may yet become a scalar.
        case incomplete
    }

    /// The piece at `offset`, which is within `bytes`.
    static func piece(_ bytes: UnsafeBufferPointer<UInt8>, at offset: Int) -> Piece {
        let lead = bytes[offset]
        var low: UInt8 = 0x80
        var high: UInt8 = 0xBF
        let length: Int
        switch lead {
        case 0...0x7F: return .scalar(1)
        case 0xC2...0xDF: length = 2
        case 0xE0...0xEF:
            length = 3
            if lead == 0xE0 { low = 0xA0 } else if lead == 0xED { high = 0x9F }
        case 0xF0...0xF4:
            length = 4
            if lead == 0xF0 { low = 0x90 } else if lead == 0xF4 { high = 0x8F }
        default: return .broken(1)
        }
        for index in 1..<length {
            guard offset + index < bytes.count else { return .incomplete }
            let byte = bytes[offset + index]
            guard byte >= low, byte <= high else { return .broken(index) }
            low = 0x80
            high = 0xBF
        }
        return .scalar(length)
    }

    /// Valid UTF-8 for `bytes`, and how many of them it stands for. Bytes at the end that may yet become a scalar are
    /// left over unless `isFinal`, when they are one U+FFFD.
    static func repaired(_ bytes: UnsafeBufferPointer<UInt8>, isFinal: Bool) -> (text: [UInt8], consumed: Int) {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count)
        var offset = 0
        while offset < bytes.count {
            switch piece(bytes, at: offset) {
            case .scalar(let length):
                text.append(contentsOf: bytes[offset..<offset + length])
                offset += length
            case .broken(let length):
                text.append(contentsOf: replacement)
                offset += length
            case .incomplete:
                guard isFinal else { return (text, offset) }
                text.append(contentsOf: replacement)
                offset = bytes.count
            }
        }
        return (text, offset)
    }

    /// U+FFFD.
    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]
}
