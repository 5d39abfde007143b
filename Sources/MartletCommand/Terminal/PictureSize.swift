import MartletVision

/// Width and height of a made-up picture, as the benches take them: `360x800`.
struct PictureSize: Equatable {
    let width, height: Int

    /// No side is longer: far above every screen, and far below what memory holds.
    static let sides = 1...16384

    init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }

    /// nil for anything but two whole numbers in range with an `x` between them.
    init?(_ text: some StringProtocol) {
        let words = text.split(separator: "x", omittingEmptySubsequences: false)
        guard words.count == 2, let width = Int(words[0]), let height = Int(words[1]), Self.sides.contains(width),
            Self.sides.contains(height)
        else { return nil }
        self.init(width: width, height: height)
    }

    /// The picture of MODEL.md 7.2, made another one by each `seed`.
    func picture(seed: Int = 0) -> DecodedImage {
        var rgb = [UInt8](repeating: 0, count: width * height * 3)
        for y in 0..<height {
            for x in 0..<width {
                for channel in 0..<3 {
                    let value = 7 * x + 13 * y + 29 * channel + x * y % 11 + seed
                    rgb[(y * width + x) * 3 + channel] = UInt8(truncatingIfNeeded: value)
                }
            }
        }
        return DecodedImage(width: width, height: height, rgb: rgb)
    }
}
