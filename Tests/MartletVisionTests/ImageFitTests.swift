import Testing

@testable import MartletVision

@Suite struct ImageFitTests {
    private let processor = ImageProcessor(configuration: .glm)

    private func tokens(_ images: [(Int, Int)], _ budget: Int) throws -> [Int]? {
        try processor.fit(images: images.map { (width: $0.0, height: $0.1) }, tokenBudget: budget)?
            .map(\.size.tokenCount)
    }

    @Test("nothing changes where everything fits") func roomy() throws {
        #expect(try tokens([], 0) == [])
        let fitted = try #require(try processor.fit(images: [(1080, 2400), (336, 336)], tokenBudget: 3498))
        #expect(fitted.map(\.size.tokenCount) == [3354, 144])
        #expect(fitted.allSatisfy { $0.longestEdge == nil })
    }

    @Test("a screenshot shrinks to the largest size the limit can give") func oneScreen() throws {
        let fitted = try #require(try processor.fit(images: [(1080, 2400)], tokenBudget: 1234)?.first)
        #expect(fitted.size.tokenCount <= 1234)
        // The next limit up would not fit: nothing is given away.
        let edge = try #require(fitted.longestEdge)
        #expect(try processor.size(width: 1080, height: 2400, longestEdge: edge) == fitted.size)
        #expect(fitted.size == ResizedSize(width: 644, height: 1456, tokenCount: 1196))
        #expect(Double(fitted.size.height) / Double(fitted.size.width) - 2400.0 / 1080 < 0.1)
    }

    @Test("the largest pays first, down to the next largest") func largestFirst() throws {
        #expect(try tokens([(336, 336), (1080, 2400)], 3000)?.first == 144)
        let pair = try #require(try tokens([(1080, 2400), (1440, 3200)], 4000))
        #expect(pair.reduce(0, +) <= 4000 && pair.reduce(0, +) > 3700)
        #expect(abs(pair[0] - pair[1]) < 250)
    }

    @Test("no image goes below a quarter of its tokens") func floor() throws {
        #expect(try tokens([(1080, 2400)], 838) == nil)
        #expect(try tokens([(1080, 2400)], 0) == nil)
        #expect(try tokens([(1080, 2400)], -1) == nil)
        // The smallest picture the reference makes of 14x14 has nine tokens, whatever the limit.
        #expect(try tokens([(14, 14)], 8) == nil)
        #expect(try tokens([(100, 100)], 9) == [9])
        let ten = try #require(try tokens(Array(repeating: (1080, 2400), count: 10), 9500))
        #expect(ten.allSatisfy { $0 >= 839 } && ten.reduce(0, +) <= 9500)
    }

    @Test("random sets: within budget, above the floor, reproducible by their limits") func random() throws {
        var random = SplitMix64(state: 11)
        for _ in 0..<60 {
            let images = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                (width: Int.random(in: 20...3000, using: &random), height: Int.random(in: 20...3000, using: &random))
            }
            let full = try images.map { try processor.size(width: $0.width, height: $0.height).tokenCount }
            let budget = Int.random(in: 1...full.reduce(0, +), using: &random)
            guard let fitted = try processor.fit(images: images, tokenBudget: budget) else {
                #expect(budget < full.reduce(0, +) / 2, "gave up early: \(images), \(budget)")
                continue
            }
            #expect(fitted.reduce(0) { $0 + $1.size.tokenCount } <= budget)
            for (index, image) in images.enumerated() {
                let size = try processor.size(
                    width: image.width, height: image.height, longestEdge: fitted[index].longestEdge)
                #expect(size == fitted[index].size && size.tokenCount * 4 >= full[index])
            }
        }
    }

    @Test func withoutResizeNothingShrinks() throws {
        var configuration = ImageProcessorConfiguration.glm
        configuration.doResize = false
        let fixed = ImageProcessor(configuration: configuration)
        #expect(try fixed.fit(images: [(56, 56)], tokenBudget: 3) == nil)
        #expect(try fixed.fit(images: [(56, 56)], tokenBudget: 4)?.first?.size.tokenCount == 4)
    }
}
