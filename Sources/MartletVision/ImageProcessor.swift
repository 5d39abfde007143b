package import MartletCore

/// From a decoded picture to what the vision tower takes (MODEL.md 3.2, 3.3).
package struct ImageProcessor: Sendable {
    package let configuration: ImageProcessorConfiguration

    package init(configuration: ImageProcessorConfiguration) { self.configuration = configuration }

    var smartResize: SmartResize {
        SmartResize(
            factor: configuration.patchSize * configuration.mergeSize, frames: configuration.temporalPatchSize,
            shortestEdge: configuration.shortestEdge)
    }

    /// The size after resize. `longestEdge` lowers (or raises) the configured limit for this picture.
    package func size(width: Int, height: Int, longestEdge: Int? = nil) throws(ImageError) -> ResizedSize {
        guard configuration.doResize else { return try sizeAsItIs(width: width, height: height) }
        return try smartResize.size(
            width: width, height: height, longestEdge: longestEdge ?? configuration.longestEdge)
    }

    /// No picture has more tokens at the configured limits; nil: pictures stay as large as they are.
    package var maxTokenCount: Int? {
        configuration.doResize ? smartResize.maxTokenCount(longestEdge: configuration.longestEdge) : nil
    }

    /// Resizes `image` by the reference's rule and bytes.
    package func prepare(_ image: DecodedImage, longestEdge: Int? = nil) throws(ImageError) -> PreparedImage {
        let size = try size(width: image.width, height: image.height, longestEdge: longestEdge)
        return PreparedImage(
            width: size.width, height: size.height, originalWidth: image.width, originalHeight: image.height,
            rgb: try Resampler.resize(image, width: size.width, height: size.height),
            patchSize: configuration.patchSize, mergeSize: configuration.mergeSize, mean: configuration.mean,
            deviation: configuration.deviation)
    }

    private func sizeAsItIs(width: Int, height: Int) throws(ImageError) -> ResizedSize {
        let factor = configuration.patchSize * configuration.mergeSize
        guard width > 0, height > 0, width % factor == 0, height % factor == 0 else {
            throw .notWholePatches(width: width, height: height, multiple: factor)
        }
        return ResizedSize(width: width, height: height, tokenCount: (width / factor) * (height / factor))
    }
}
