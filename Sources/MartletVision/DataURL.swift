internal import CImage

/// The bytes of a `data:image/…;base64,…` URL.
package struct DataURL: Sendable {
    /// Lower-case, without parameters: "image/png". Informative only: the first bytes decide the format.
    package let mediaType: String
    package let bytes: [UInt8]

    /// Whether `text` is a `data:` URL at all; the scheme's case does not matter.
    package static func isDataURL(_ text: String) -> Bool {
        text.utf8.count >= 5 && text.utf8.prefix(5).map { $0 | 0x20 }.elementsEqual("data:".utf8.map { $0 | 0x20 })
    }

    /// Parses and decodes `text`. The size limit is applied to the length of the text before a byte is decoded.
    ///
    /// Throws `badDataURL`, `mediaType` (only `image/…` and an absent type are pictures), `notBase64`, `tooManyBytes`
    /// or `badBase64`. Base64 is strict: the standard alphabet, padded, no white space.
    package init(_ text: String, maxBytes: Int = ImageLimits.standard.compressedBytes) throws(ImageError) {
        guard Self.isDataURL(text) else { throw .badDataURL }
        // A header is short: a comma beyond this is no data URL, and no long text is searched for one.
        let head = text.utf8.dropFirst(5).prefix(256)
        guard let comma = head.firstIndex(of: UInt8(ascii: ",")) else { throw .badDataURL }
        let fields = head[..<comma].split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false)
        let type = String(decoding: fields[0].map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }, as: UTF8.self)
        guard type.isEmpty || type.hasPrefix("image/") else { throw .mediaType(Self.sanitized(type)) }
        guard fields.count > 1, fields[fields.count - 1].elementsEqual("base64".utf8, by: { $0 | 0x20 == $1 }) else {
            throw .notBase64
        }
        mediaType = Self.sanitized(type)
        let payload = text.utf8[text.utf8.index(after: comma)...]
        bytes = try Self.decode(payload, maxBytes: maxBytes)
    }

    private static func decode(_ payload: Substring.UTF8View, maxBytes: Int) throws(ImageError) -> [UInt8] {
        let count = payload.count
        let padding = payload.suffix(2).filter { $0 == UInt8(ascii: "=") }.count
        guard count / 4 * 3 - padding <= maxBytes else { throw .tooManyBytes(limit: maxBytes) }
        let text = Array(payload)
        let decoded = [UInt8](unsafeUninitializedCapacity: count / 4 * 3) { buffer, initialized in
            initialized = text.isEmpty ? 0 : max(0, martlet_base64_decode(text, count, buffer.baseAddress))
        }
        guard !decoded.isEmpty else { throw .badBase64 }
        return decoded
    }

    /// A piece of the input that may stand in a message: at most 40 plain characters.
    private static func sanitized(_ type: String) -> String {
        let plain = type.utf8.prefix(40).filter {
            ($0 >= 0x61 && $0 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) || "/+-.".utf8.contains($0)
        }
        return String(decoding: plain, as: UTF8.self)
    }
}
