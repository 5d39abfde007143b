import MartletCore

/// An image in a prompt, with what its encoding takes.
package struct SequenceImage: Sendable {
    package let image: PreparedImage
    package let offset: Int
    /// Vision units of its encoding.
    package let unitCount: Int

    package init(image: PreparedImage, offset: Int, unitCount: Int) {
        self.image = image
        self.offset = offset
        self.unitCount = unitCount
    }

    package var hash: Digest { image.contentHash }
    package var tokenCount: Int { image.tokenCount }
    package var tokenRange: Range<Int> { offset..<(offset + tokenCount) }
}
