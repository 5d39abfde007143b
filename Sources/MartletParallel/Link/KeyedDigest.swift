import MartletCore

/// HMAC-SHA256 (RFC 2104): what only who knows the key can say of a message.
enum KeyedDigest {
    static let byteCount = 32
    private static let blockBytes = 64

    static func digest(of message: [UInt8], key: [UInt8]) -> [UInt8] {
        var block = key.count > blockBytes ? Digest(of: key).bytes : key
        block += [UInt8](repeating: 0, count: blockBytes - block.count)
        let inner = Digest(of: block.map { $0 ^ 0x36 } + message)
        return Digest(of: block.map { $0 ^ 0x5C } + inner.bytes).bytes
    }

    /// Compares in a time that does not tell where two differ.
    static func isEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        guard one.count == other.count else { return false }
        return zip(one, other).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
