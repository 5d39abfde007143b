import MartletCore
import MartletEngine
import MartletTestSupport
import Testing

@Suite struct EncoderCacheTests {
    private func image(_ seed: UInt8, tokens: Int = 4, units: Int = 2) -> SequenceImage {
        SequenceImage(image: .tiny(rows: 1, columns: tokens, seed: seed), offset: 0, unitCount: units)
    }

    private func encode(_ id: ImageID, in cache: inout EncoderCache) {
        cache.plan(units: cache.remainingUnits(of: id), of: id)
    }

    @Test func equalContentIsOneImage() {
        var cache = EncoderCache(tokenBudget: 10)
        let first = cache.acquire(image(1))
        let second = cache.acquire(image(1))
        let other = cache.acquire(image(2))
        #expect(first == second && first != other)
        #expect(cache.residentTokens == 8)
        #expect(cache.takeRegistrations().map(\.id) == [first, other])
        #expect(!cache.canAcquire([image(3)]) && cache.canAcquire([image(1), image(2)]))
    }

    @Test func finishedImagesStayUntilTheRoomIsNeeded() {
        var cache = EncoderCache(tokenBudget: 8)
        let old = cache.acquire(image(1))
        let new = cache.acquire(image(2))
        for id in [old, new] {
            encode(id, in: &cache)
            cache.release(id)
        }
        _ = cache.takeRegistrations()
        #expect(cache.count == 2 && cache.takeReleases().isEmpty)
        #expect(cache.acquire(image(1)) == old)
        #expect(cache.canAcquire([image(3)]))
        _ = cache.acquire(image(3))
        #expect(cache.takeReleases() == [new])
        #expect(cache.acquire(image(2)) != new, "ids are never used again")
    }

    @Test func halfFinishedImagesGoWithTheirLastUser() {
        var cache = EncoderCache(tokenBudget: 8)
        let id = cache.acquire(image(1))
        _ = cache.takeRegistrations()
        cache.plan(units: 0..<1, of: id)
        cache.release(id)
        #expect(cache.count == 0 && cache.takeReleases() == [id])
    }

    @Test func anImageThatNeverCameIsNeverReleased() {
        var cache = EncoderCache(tokenBudget: 8)
        cache.release(cache.acquire(image(1)))
        #expect(cache.takeReleases().isEmpty && cache.takeRegistrations().isEmpty)
    }

    /// The second begins when the first is done, or gone.
    @Test(arguments: [true, false]) func oneImageAtATimeIsHalfDone(isDone: Bool) {
        var cache = EncoderCache(tokenBudget: 12)
        let first = cache.acquire(image(1)), second = cache.acquire(image(2)), third = cache.acquire(image(3))
        #expect(cache.mayPlan(first) && cache.mayPlan(second))
        cache.plan(units: 0..<1, of: first)
        #expect(cache.mayPlan(first) && !cache.mayPlan(second))
        if isDone { encode(first, in: &cache) } else { cache.release(first) }
        #expect(cache.mayPlan(second) && cache.mayPlan(third))
        var wider = EncoderCache(tokenBudget: 12, encodingCount: 2)
        let ids = (UInt8(1)...3).map { wider.acquire(image($0)) }
        for id in ids.prefix(2) { wider.plan(units: 0..<1, of: id) }
        #expect(ids.map { wider.mayPlan($0) } == [true, true, false])
    }

    @Test func unitsAreGivenInOrder() {
        var cache = EncoderCache(tokenBudget: 8)
        let id = cache.acquire(image(1, units: 5))
        #expect(cache.remainingUnits(of: id) == 0..<5)
        cache.plan(units: 0..<3, of: id)
        #expect(cache.remainingUnits(of: id) == 3..<5)
        encode(id, in: &cache)
        #expect(cache.remainingUnits(of: id).isEmpty)
    }
}
