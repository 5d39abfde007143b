/// An image that lost pixels so that its prompt fits; coordinates on a relative grid stay valid.
struct ImageFitNote: Sendable, Equatable {
    var originalWidth, originalHeight: Int
    var width, height: Int

    /// As the response header `x-martlet-image-fit` tells it: `1080x2400->476x1036`.
    var text: String { "\(originalWidth)x\(originalHeight)->\(width)x\(height)" }
}
