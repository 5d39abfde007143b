import MartletCore
import Testing

@testable import MartletVision

@Suite struct ImageProcessorTests {
    @Test("normalised, the prepared bytes sum to the reference's pixel_values") func pixelValues() throws {
        for row in try Fixture.rows("patches.json") {
            let numbers = row.compactMap(\.number), width = Int(numbers[0]), height = Int(numbers[1])
            let image = try SourcePicture.draw("ramp", seed: 0, width: width, height: height)
            let prepared = try ImageProcessor(configuration: .glm).prepare(image)
            #expect([1, prepared.patchRows, prepared.patchColumns] == numbers[2...4].map { Int($0) })
            var sum = 0.0, absolute = 0.0
            for (index, byte) in prepared.rgb.enumerated() {
                let channel = index % 3
                let value = (Float(byte) / 255 - prepared.mean[channel]) / prepared.deviation[channel]
                sum += 2 * Double(value)    // both frames of a still are the same picture
                absolute += 2 * abs(Double(value))
            }
            #expect(abs(sum - numbers[5]) <= 1e-5 * numbers[6])
            #expect(abs(absolute - numbers[6]) <= 1e-5 * numbers[6])
        }
    }

    @Test("without do_resize only whole tokens pass") func asItIs() throws {
        var configuration = ImageProcessorConfiguration.glm
        configuration.doResize = false
        let processor = ImageProcessor(configuration: configuration)
        let whole = try SourcePicture.draw("noise", seed: 1, width: 56, height: 28)
        #expect(try processor.prepare(whole).rgb == whole.rgb)
        #expect(throws: ImageError.notWholePatches(width: 57, height: 28, multiple: 28)) {
            try processor.size(width: 57, height: 28)
        }
    }

    @Test("equal pictures have equal hashes; size, pixels and constants each change it") func contentHash() throws {
        let processor = ImageProcessor(configuration: .glm)
        let image = try SourcePicture.draw("noise", seed: 1, width: 120, height: 240)
        let turned = DecodedImage(width: 240, height: 120, rgb: image.rgb)
        var other = ImageProcessorConfiguration.glm
        other.mean.x = 0.5
        let hashes = [
            try processor.prepare(image).contentHash, try processor.prepare(turned).contentHash,
            try processor.prepare(image, longestEdge: 12544).contentHash,
            try ImageProcessor(configuration: other).prepare(image).contentHash,
        ]
        #expect(Set(hashes).count == hashes.count)
        #expect(try processor.prepare(image).contentHash == hashes[0])
    }

    @Test("a decoded file keeps its original size beside the resized one") func original() throws {
        let image = try ImageDecoder.decode(try Fixture.bytes("images/orientation-6.jpg"))
        let prepared = try ImageProcessor(configuration: .glm).prepare(image)
        #expect((prepared.originalWidth, prepared.originalHeight) == (43, 61))
        #expect(prepared.height > prepared.width)
    }
}
