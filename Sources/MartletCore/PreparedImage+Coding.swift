/// The bytes of an image, by the rules of plans, for ranks of other processes.
extension PreparedImage {
    /// "MSI" and the version.
    private static var format: UInt32 { 0x0149_534D }
    /// Far more than a picture within the server's limits.
    package static var maximumByteCount: Int { 255 << 20 }
    private static var longestSide: Int { 1 << 20 }

    package func encoded() throws(PlanCodingError) -> [UInt8] {
        var writer = PlanWriter(format: Self.format)
        for size in [width, height, originalWidth, originalHeight, patchSize, mergeSize] { writer.write(size: size) }
        for channel in 0..<3 {
            writer.write(mean[channel])
            writer.write(deviation[channel])
        }
        writer.write(bytes: rgb)
        return try writer.finish(limit: Self.maximumByteCount)
    }

    package init(decoding bytes: [UInt8]) throws(PlanCodingError) {
        var reader = try PlanReader(bytes, format: Self.format, limit: Self.maximumByteCount)
        let width = try reader.size("width"), height = try reader.size("height")
        let originalWidth = try reader.size("originalWidth"), originalHeight = try reader.size("originalHeight")
        let patchSize = try reader.size("patchSize"), mergeSize = try reader.size("mergeSize")
        var mean = SIMD3<Float>(), deviation = SIMD3<Float>()
        for channel in 0..<3 {
            mean[channel] = try reader.float("mean")
            deviation[channel] = try reader.float("deviation")
        }
        let rgb = try reader.bytes("rgb")
        try reader.finish()
        let sides = 1...Self.longestSide
        guard sides.contains(patchSize), sides.contains(mergeSize) else { throw .invalid(field: "patchSize") }
        guard sides.contains(width), width % (patchSize * mergeSize) == 0 else { throw .invalid(field: "width") }
        guard sides.contains(height), height % (patchSize * mergeSize) == 0 else { throw .invalid(field: "height") }
        guard rgb.count == width * height * 3 else { throw .invalid(field: "rgb") }
        self.init(
            width: width, height: height, originalWidth: originalWidth, originalHeight: originalHeight, rgb: rgb,
            patchSize: patchSize, mergeSize: mergeSize, mean: mean, deviation: deviation)
    }
}
