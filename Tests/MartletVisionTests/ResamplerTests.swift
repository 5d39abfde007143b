import MartletCore
import Testing

@testable import MartletVision

@Suite struct ResamplerTests {
    @Test("200 sizes give the reference's bytes") func referenceBytes() throws {
        let rows = try Fixture.rows("resize.json")
        #expect(rows.count == 200)
        let processor = ImageProcessor(configuration: .glm)
        for row in rows {
            let numbers = row[1...6].compactMap(\.integer)
            let image = try SourcePicture.draw(
                #require(row[0].string), seed: UInt64(numbers[0]), width: numbers[1], height: numbers[2])
            let prepared = try processor.prepare(image, longestEdge: numbers[3])
            #expect(prepared.width == numbers[4] && prepared.height == numbers[5], "\(row)")
            #expect(Digest(of: prepared.rgb).description == row[7].string, "\(row)")
        }
    }

    @Test("the resized values of MODEL.md 7.2") func specificationValues() throws {
        let image = try SourcePicture.draw("ramp", seed: 0, width: 100, height: 150)
        let prepared = try ImageProcessor(configuration: .glm).prepare(image)
        #expect((prepared.width, prepared.height) == (112, 140))
        #expect((prepared.patchRows, prepared.patchColumns, prepared.tokenCount) == (10, 8, 20))
        #expect(Array(prepared.rgb[0..<12]) == [1, 30, 59, 7, 36, 65, 13, 42, 71, 19, 48, 77])
        #expect(Array(prepared.rgb.suffix(3)) == [69, 98, 127])
        #expect(prepared.rgb.reduce(0) { $0 + Int($1) } == 6_007_237)
    }

    @Test("a picture that keeps its size keeps its bytes") func unchanged() throws {
        let image = try SourcePicture.draw("ramp", seed: 0, width: 112, height: 56)
        let prepared = try ImageProcessor(configuration: .glm).prepare(image)
        #expect((prepared.width, prepared.height, prepared.tokenCount) == (112, 56, 8))
        #expect(prepared.rgb == image.rgb)
    }

    @Test("one even colour stays even at any size") func flat() throws {
        for value in [UInt8(0), 1, 127, 254, 255] {
            let image = DecodedImage(width: 37, height: 11, rgb: Array(repeating: value, count: 37 * 11 * 3))
            for (width, height) in [(1, 1), (28, 28), (200, 3), (37, 100), (500, 11)] {
                let resized = try Resampler.resize(image, width: width, height: height)
                #expect(resized.count == width * height * 3)
                #expect(resized.allSatisfy { abs(Int($0) - Int(value)) <= 1 }, "\(value) at \(width)x\(height)")
            }
        }
    }
}

extension ImageProcessorConfiguration {
    /// The file that GLM-4.1V carries.
    static var glm: Self {
        var configuration = Self()
        (configuration.shortestEdge, configuration.longestEdge) = (12544, 9_633_792)
        return configuration
    }
}
