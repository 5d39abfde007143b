import MartletCore
import MartletTestSupport
import Testing

@testable import MartletVision

@Suite struct SmartResizeTests {
    @Test("600 sizes as the reference rounds them, its refusals too") func reference() throws {
        for row in try Fixture.rows("smart_resize.json") {
            let n = row[0..<4].compactMap(\.integer)
            let rule = SmartResize(factor: 28, frames: 2, shortestEdge: n[2])
            if let width = row[4].integer, let height = row[5].integer {
                let size = try rule.size(width: n[0], height: n[1], longestEdge: n[3])
                #expect((size.width, size.height) == (width, height), "\(row)")
                #expect(size.tokenCount == width / 28 * (height / 28))
            } else {
                #expect(throws: ImageError.aspectRatio(width: n[0], height: n[1], limit: 200), "\(row)") {
                    try rule.size(width: n[0], height: n[1], longestEdge: n[3])
                }
            }
        }
    }

    @Test("token counts of the screens people own", arguments: [
        (1080, 2400, 3354), (1440, 3200, 5814), (1080, 2340, 3276), (1200, 2400, 3698), (1179, 2556, 3822),
        (1284, 2778, 4554), (1080, 1920, 2691), (2400, 1080, 3354), (6000, 4000, 6144), (336, 336, 144), (100, 100, 16),
        (14, 14, 9), (30, 20, 12), (150, 1, 150),
    ])
    func screens(width: Int, height: Int, tokens: Int) throws {
        #expect(try ImageProcessor(configuration: .glm).size(width: width, height: height).tokenCount == tokens)
    }

    @Test("max_pixels counts two frames, as the file's own limit does") func officialFlags() throws {
        let configuration = try ImageProcessorConfiguration.glm.overriding(minPixels: nil, maxPixels: 5_000_000)
        let processor = ImageProcessor(configuration: configuration)
        for (width, height) in [(1080, 2400), (1440, 3200)] {
            let size = try processor.size(width: width, height: height)
            #expect(size == ResizedSize(width: 1036, height: 2352, tokenCount: 3108))
        }
    }

    @Test("no size has more tokens than the limits let it") func mostTokens() throws {
        var random = SeededGenerator(seed: 9)
        for _ in 0..<2000 {
            let longest = Int.random(in: 1...4_000_000, using: &random)
            let rule = SmartResize(factor: 28, frames: 2, shortestEdge: .random(in: 1...longest, using: &random))
            let most = rule.maxTokenCount(longestEdge: longest)
            for _ in 0..<20 {
                let height = Int.random(in: 1...2000, using: &random)
                let width = Int.random(in: 1...(Bool.random(using: &random) ? height : 200 * height), using: &random)
                guard let size = try? rule.size(width: width, height: height, longestEdge: longest) else { continue }
                #expect(size.tokenCount <= most, "\(width)x\(height), \(rule), \(longest)")
            }
        }
        // The model's own limits: some twice a screenshot.
        let processor = ImageProcessor(configuration: .glm)
        #expect(processor.maxTokenCount == 6144)
        #expect(try processor.size(width: 6000, height: 4000).tokenCount == 6144)
        var asTheyAre = ImageProcessorConfiguration.glm
        asTheyAre.doResize = false
        #expect(ImageProcessor(configuration: asTheyAre).maxTokenCount == nil)
    }

    @Test("sizes that no picture has are refused, never trapped on") func absurd() {
        let rule = SmartResize(factor: 28, frames: 2, shortestEdge: 12544)
        for (width, height) in [(0, 1), (-1, 5), (Int.max, Int.max), (Int.min, 1), (1 << 21, 1 << 21)] {
            #expect(throws: ImageError.self) { try rule.size(width: width, height: height, longestEdge: 9_633_792) }
        }
        let greedy = SmartResize(factor: 28, frames: 2, shortestEdge: Int.max)
        #expect(throws: ImageError.self) { try greedy.size(width: 10, height: 10, longestEdge: Int.max) }
        #expect(throws: Never.self) { try rule.size(width: 100, height: 100, longestEdge: 1) }
    }
}
