import MartletCore
import MartletEngine
import MartletModels
import MartletTestSupport
import Testing

/// Orders and pictures as bytes.
@Suite struct RankOrderCodingTests {
    private static let image = PreparedImage(
        width: 56, height: 28, originalWidth: 60, originalHeight: 31,
        rgb: (0..<56 * 28 * 3).map { UInt8($0 % 251) }, patchSize: 14, mergeSize: 2, mean: SIMD3(0.5, 0.25, 0.125),
        deviation: SIMD3(1, 2, 4))
    private static let limits = RunnerLimits(
        blockSize: 16, blockCount: 100, slotCount: 4, maxModelLength: 512, vocabularyCount: 1000, depth: 2,
        stageCount: 2, encoderCacheTokens: 300)

    @Test func anImageComesBack() throws {
        let found = try PreparedImage(decoding: Self.image.encoded())
        #expect(found.rgb == Self.image.rgb)
        #expect(found.contentHash == Self.image.contentHash)
        #expect([found.width, found.height, found.originalWidth, found.originalHeight] == [56, 28, 60, 31])
        #expect([found.patchSize, found.mergeSize] == [14, 2])
        #expect(found.mean == Self.image.mean && found.deviation == Self.image.deviation)
    }

    @Test func everyOrderComesBack() throws {
        let plan = try StepPlan(index: 3).encoded()
        guard case .begin(Self.limits) = try RankOrder(decoding: RankOrder.begin(Self.limits).encoded()),
            case .step(plan) = try RankOrder(decoding: RankOrder.step(plan).encoded()),
            case .collect(77) = try RankOrder(decoding: RankOrder.collect(77).encoded()),
            case .register(let image, 5) = try RankOrder(decoding: RankOrder.register(Self.image, as: 5).encoded())
        else {
            Issue.record("an order is another")
            return
        }
        #expect(image.contentHash == Self.image.contentHash)
    }

    /// What an image's own initialiser would trap on is an error here.
    @Test(arguments: [
        (8, 57, "width"), (8, 0, "width"), (12, 0, "height"), (12, 27, "height"), (12, 56, "rgb"), (24, 0, "patchSize"),
        (28, 0, "patchSize"), (8, 0x7FFF_FFFF, "width"),
    ])
    func sizesThatDoNotFitAreRefused(offset: Int, value: UInt32, field: String) throws {
        var bytes = try Self.image.encoded()
        withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<offset + 4, with: $0) }
        #expect(throws: PlanCodingError.invalid(field: field)) { try PreparedImage(decoding: bytes) }
    }

    /// Never a trap, whatever the bytes.
    @Test func mutatedOrdersAreRefused() throws {
        let whole = try [
            RankOrder.begin(Self.limits), .register(.tiny(rows: 3, columns: 2, seed: 7), as: 9),
            .step(try StepPlan(index: 3).encoded()), .collect(4),
        ].map { try $0.encoded() }
        var generator = SeededGenerator(seed: 3)
        var refusals = 0
        for _ in 0..<100_000 {
            var bytes = whole[Int.random(in: 0..<whole.count, using: &generator)]
            // Most of a picture is pixels: look at the front of it.
            let place = Int.random(in: 0..<min(bytes.count, 80), using: &generator)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 1: bytes.removeSubrange(place...)
            case 2: bytes.insert(.random(in: 0...255, using: &generator), at: place)
            default: bytes.replaceSubrange(place..<min(place + 4, bytes.count), with: [0xFF, 0xFF, 0xFF, 0x7F])
            }
            do { _ = try RankOrder(decoding: bytes) } catch { refusals += 1 }
        }
        #expect(refusals > 50_000)
    }
}
