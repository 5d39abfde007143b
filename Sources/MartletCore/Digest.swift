internal import CDigest

/// A SHA-256 value: 32 bytes that compare and hash as one.
package struct Digest: Hashable, Sendable, CustomStringConvertible {
    package let words: SIMD4<UInt64>

    /// The digest of `bytes`.
    package init(of bytes: some Collection<UInt8>) {
        var hasher = DigestHasher()
        hasher.update(bytes)
        self = hasher.finish()
    }

    fileprivate init(words: SIMD4<UInt64>) { self.words = words }

    /// The words as they stand in memory when `bytes` do.
    fileprivate var bigEndianWords: SIMD4<UInt64> {
        SIMD4(words.x.bigEndian, words.y.bigEndian, words.z.bigEndian, words.w.bigEndian)
    }

    /// The 32 bytes, in the order of FIPS 180-4.
    package var bytes: [UInt8] {
        (0..<4).flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: words[word] >> (56 - 8 * UInt64($0))) } }
    }

    /// 64 lower-case hexadecimal digits.
    package var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// SHA-256 fed in pieces. `finish` may be called once.
package struct DigestHasher {
    private var state = martlet_sha256()

    package init() { martlet_sha256_start(&state) }

    package mutating func update(_ bytes: some Collection<UInt8>) {
        let done: Void? = bytes.withContiguousStorageIfAvailable { update(UnsafeRawBufferPointer($0)) }
        if done == nil { update(Array(bytes)) }
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        martlet_sha256_update(&state, base, bytes.count)
    }

    /// Absorbs the 32 bytes of `digest`.
    package mutating func update(_ digest: Digest) {
        withUnsafeBytes(of: digest.bigEndianWords) { update($0) }
    }

    /// Absorbs the little-endian bytes of `value`.
    package mutating func update(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { update($0) }
    }

    package mutating func finish() -> Digest {
        var words = SIMD4<UInt64>()
        withUnsafeMutableBytes(of: &words) { bytes in
            guard let base = bytes.baseAddress else { return }
            martlet_sha256_finish(&state, base.assumingMemoryBound(to: UInt8.self))
        }
        return Digest(words: Digest(words: words).bigEndianWords)
    }
}
