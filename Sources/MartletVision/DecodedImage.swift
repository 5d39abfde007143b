/// A picture as the reference loader gives it: upright, 8 bits a channel, alpha composited on white.
package struct DecodedImage: Sendable {
    package let width, height: Int
    /// rgb: [height, width, 3].
    package let rgb: [UInt8]

    /// `rgb.count` must be `width * height * 3`.
    package init(width: Int, height: Int, rgb: [UInt8]) {
        precondition(
            width > 0 && height > 0 && rgb.count == width * height * 3, "rgb must hold width x height x 3 bytes")
        self.width = width
        self.height = height
        self.rgb = rgb
    }
}
