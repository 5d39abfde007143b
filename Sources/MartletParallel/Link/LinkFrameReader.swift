import MartletCore

/// Takes frames from bytes as they arrive. What a frame may be is checked before its bytes are kept.
struct LinkFrameReader {
    /// Whether the other side has shown who it is; until then only the short frames of a handshake are taken.
    var isTrusted = false
    private var bytes: [UInt8] = []
    /// Bytes at the front that have been taken.
    private var start = 0

    mutating func append(_ more: UnsafeRawBufferPointer) { bytes.append(contentsOf: more) }

    /// The next whole frame; nil if it has not arrived yet. After a throw the connection is of no more use.
    mutating func next() throws(PlanCodingError) -> LinkFrame? {
        guard bytes.count - start >= LinkFrame.headerBytes else { return nil }
        let format = word(at: start)
        guard format == LinkFrame.format else { throw .unknownFormat(format) }
        let kind = bytes[start + 8]
        guard let limit = LinkFrame.maximumByteCount(kind: kind), isTrusted || kind <= 3 || kind == 6 else {
            throw .invalid(field: "kind")
        }
        let length = Int(word(at: start + 4))
        guard length <= limit else { throw .tooLong(byteCount: length, limit: limit) }
        guard length >= LinkFrame.headerBytes else { throw .truncated(field: "length") }
        guard bytes.count - start >= length else { return nil }
        let frame = try LinkFrame(decoding: Array(bytes[start..<start + length]))
        start += length
        if start == bytes.count || start > 1 << 20 {
            bytes.removeFirst(start)
            start = 0
        }
        return frame
    }

    private func word(at index: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[index + $1]) << (8 * UInt32($1)) }
    }
}
