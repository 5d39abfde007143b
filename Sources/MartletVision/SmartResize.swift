/// The size an image is resized to, and what it costs in the prompt.
package struct ResizedSize: Sendable, Equatable {
    /// Multiples of `patchSize * mergeSize`.
    package let width, height: Int
    /// Placeholder tokens, without the begin and end of image.
    package let tokenCount: Int
}

/// The reference's `smart_resize` for stills (MODEL.md 3.2), in double precision.
package struct SmartResize: Sendable {
    /// Pixels along one token: `patchSize * mergeSize`.
    package let factor: Int
    /// Frames a still counts for.
    package let frames: Int
    /// Frames x height x width.
    package let shortestEdge: Int

    /// No side of a resized image is longer: what sizes from requests and files are held to.
    static let maxSide = 1 << 20
    /// Of the sides of a picture.
    static let maxAspectRatio = 200.0

    /// Throws `aspectRatio` beyond 200:1 (after the smallest enlargement, as the reference measures it), and
    /// `tooManyPixels` where a side would leave all reason. `longestEdge` counts frames x height x width.
    package func size(width: Int, height: Int, longestEdge: Int) throws(ImageError) -> ResizedSize {
        guard width > 0, height > 0, width <= Self.maxSide, height <= Self.maxSide else {
            throw .tooManyPixels(width: width, height: height, limit: Self.maxSide)
        }
        let unit = Double(factor), count = Double(frames)
        var (w, h) = (Double(width), Double(height))
        if width < factor || height < factor {
            let scale = max(unit / h, unit / w)
            (w, h) = ((w * scale).rounded(.towardZero), (h * scale).rounded(.towardZero))
        }
        guard max(w, h) / min(w, h) <= Self.maxAspectRatio else {
            throw .aspectRatio(width: width, height: height, limit: Int(Self.maxAspectRatio))
        }
        var newHeight = (h / unit).rounded(.toNearestOrEven) * unit
        var newWidth = (w / unit).rounded(.toNearestOrEven) * unit
        let volume = count * newHeight * newWidth
        if volume > Double(longestEdge) {
            let shrink = (count * h * w / Double(longestEdge)).squareRoot()
            newHeight = max(unit, (h / shrink / unit).rounded(.down) * unit)
            newWidth = max(unit, (w / shrink / unit).rounded(.down) * unit)
        } else if volume < Double(shortestEdge) {
            let grow = (Double(shortestEdge) / (count * h * w)).squareRoot()
            newHeight = (h * grow / unit).rounded(.up) * unit
            newWidth = (w * grow / unit).rounded(.up) * unit
        }
        guard newWidth >= unit, newHeight >= unit, max(newWidth, newHeight) <= Double(Self.maxSide) else {
            throw .tooManyPixels(width: width, height: height, limit: Self.maxSide)
        }
        let columns = Int(newWidth) / factor, rows = Int(newHeight) / factor
        return ResizedSize(width: columns * factor, height: rows * factor, tokenCount: columns * rows)
    }

    /// No size that `size` gives has more tokens. A picture that shrinks keeps a row, however long it is; one that
    /// grows is rounded up on both sides.
    package func maxTokenCount(longestEdge: Int) -> Int {
        let token = Double(frames * factor * factor)
        let least = Double(shortestEdge) / token
        let sides = (least * Self.maxAspectRatio).squareRoot() + (least / Self.maxAspectRatio).squareRoot()
        return Int(max(Double(longestEdge) / token, Self.maxAspectRatio, least + sides + 1))
    }
}
