import MartletCore

/// Names the contents of a full block and of everything before it (D11): SHA-256 over the parent's key, the token
/// ids, and every image that overlaps the block with its place in it. Model identity and salt stand in the root.
/// Nothing in it comes from a client but the salt.
package struct BlockKey: Hashable, Sendable {
    private let digest: Digest

    /// The parent of every first block.
    package init(modelIdentity: String, salt: String) {
        var hasher = DigestHasher()
        for text in [modelIdentity, salt] {
            hasher.update(UInt64(text.utf8.count))
            hasher.update(text.utf8)
        }
        digest = hasher.finish()
    }

    /// The key of a block that holds `tokens` from position `start` on.
    package init(parent: BlockKey, tokens: ArraySlice<TokenID>, start: Int, images: [SequenceImage]) {
        var hasher = DigestHasher()
        hasher.update(parent.digest)
        hasher.update(UInt64(tokens.count))
        tokens.withUnsafeBytes { hasher.update($0) }
        for image in images where image.tokenRange.overlaps(start..<(start + tokens.count)) {
            hasher.update(image.hash)
            hasher.update(Int64(image.offset - start))
        }
        digest = hasher.finish()
    }

    /// Keys of the full blocks of a prompt, first to last. `known`: those of its first blocks, as far as they are.
    package static func chain(
        of prompt: Prompt, blockSize: Int, modelIdentity: String, salt: String, known: ArraySlice<BlockKey> = []
    ) -> [BlockKey] {
        let images = prompt.images.map { SequenceImage(image: $0.image, offset: $0.offset, unitCount: 0) }
        var keys = Array(known)
        var parent = keys.last ?? BlockKey(modelIdentity: modelIdentity, salt: salt)
        for start in stride(from: keys.count * blockSize, through: prompt.tokens.count - blockSize, by: blockSize) {
            parent = BlockKey(
                parent: parent, tokens: prompt.tokens[start..<start + blockSize], start: start, images: images)
            keys.append(parent)
        }
        return keys
    }

    /// One word of a digest is as good as all for a table; equality compares all.
    package func hash(into hasher: inout Hasher) { hasher.combine(digest.words.x) }

    /// A part of it, for those who only guess by it: different keys may have the same.
    package var shortHash: UInt64 { digest.words.x }
}
