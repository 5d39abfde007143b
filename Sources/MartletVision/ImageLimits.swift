/// What a picture may cost. All are checked against the header before a pixel is decoded or allocated.
package struct ImageLimits: Sendable, Equatable {
    package var compressedBytes: Int
    /// Width x height as stored.
    package var pixels: Int
    /// The longer side over the shorter.
    package var aspectRatio: Int

    package static let standard = ImageLimits(
        compressedBytes: 20 << 20, pixels: 40_000_000, aspectRatio: 200)

    package init(compressedBytes: Int, pixels: Int, aspectRatio: Int) {
        self.compressedBytes = compressedBytes
        self.pixels = pixels
        self.aspectRatio = aspectRatio
    }

    /// Throws unless a picture of this size, read from an untrusted header, may be decoded.
    func check(width: Int, height: Int) throws(ImageError) {
        let (area, overflow) = width.multipliedReportingOverflow(by: height)
        guard width > 0, height > 0, !overflow, area <= pixels else {
            throw .tooManyPixels(width: width, height: height, limit: pixels)
        }
        // Neither side exceeds `pixels` by now, so the product is small.
        guard max(width, height) <= aspectRatio * min(width, height) else {
            throw .aspectRatio(width: width, height: height, limit: aspectRatio)
        }
    }
}
