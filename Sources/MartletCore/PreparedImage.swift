/// An image as the vision tower takes it: resized pixels and their patch grid (D11). Normalising and
/// patching belong to the patch embedding.
package struct PreparedImage: Sendable {
    /// Size after resize, both multiples of `patchSize * mergeSize`.
    package let width, height: Int
    /// Size as it came, after orientation; for logs and headers.
    package let originalWidth, originalHeight: Int
    /// rgb: [height, width, 3].
    package let rgb: [UInt8]
    package let patchSize, mergeSize: Int
    /// Per channel R, G, B: `value = (pixel / 255 - mean) / deviation`.
    package let mean, deviation: SIMD3<Float>
    /// SHA-256 of resized bytes, grid and processor constants: equal hash = equal embeddings.
    package let contentHash: Digest

    /// Patches down and across.
    package var patchRows: Int { height / patchSize }
    package var patchColumns: Int { width / patchSize }
    /// Tokens down and across: the M-RoPE grid of the image.
    package var tokenRows: Int { patchRows / mergeSize }
    package var tokenColumns: Int { patchColumns / mergeSize }
    package var tokenCount: Int { tokenRows * tokenColumns }

    /// The normalised value of every byte, [3, 256]: (byte - 255 mean) / (255 deviation), as the reference folds it
    /// (MODEL.md 3.3.4).
    package var levels: [Float] {
        (0..<3).flatMap { channel in
            let mean = 255 * self.mean[channel], deviation = 255 * self.deviation[channel]
            return (0..<256).map { (Float($0) - mean) / deviation }
        }
    }

    /// `rgb.count` must be `width * height * 3`; both sides must divide by `patchSize * mergeSize`.
    package init(
        width: Int, height: Int, originalWidth: Int, originalHeight: Int, rgb: [UInt8], patchSize: Int,
        mergeSize: Int, mean: SIMD3<Float>, deviation: SIMD3<Float>
    ) {
        precondition(rgb.count == width * height * 3, "rgb must hold width x height x 3 bytes")
        precondition(
            width % (patchSize * mergeSize) == 0 && height % (patchSize * mergeSize) == 0, "size is not whole patches")
        self.width = width
        self.height = height
        self.originalWidth = originalWidth
        self.originalHeight = originalHeight
        self.rgb = rgb
        self.patchSize = patchSize
        self.mergeSize = mergeSize
        self.mean = mean
        self.deviation = deviation
        var hasher = DigestHasher()
        for value in [width, height, patchSize, mergeSize] { hasher.update(UInt64(value)) }
        for channel in 0..<3 {
            hasher.update(mean[channel].bitPattern)
            hasher.update(deviation[channel].bitPattern)
        }
        hasher.update(rgb)
        contentHash = hasher.finish()
    }
}
