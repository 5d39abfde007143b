import MartletEngine
import Testing

@Suite struct BlockPoolTests {
    private func block(from pool: inout BlockPool) throws -> BlockHandle {
        let block = pool.allocate()
        return try #require(block)
    }

    @Test func aDoubleReleaseIsDetectedAndHarmless() throws {
        var pool = BlockPool(blockCount: 2)
        let block = try self.block(from: &pool)
        let wasLast = pool.release(block)
        pool.reclaim(block)
        let again = pool.release(block)
        #expect(wasLast && !again)
        #expect(pool.freeCount == 2)
        let discrepancies = pool.discrepancies()
        #expect(discrepancies == ["1 stale or double releases"])
    }

    @Test func aStaleHandleDoesNotTouchTheNextHolder() throws {
        var pool = BlockPool(blockCount: 1)
        let old = try block(from: &pool)
        _ = pool.release(old)
        pool.reclaim(old)
        let new = try block(from: &pool)
        #expect(old.id == new.id && old != new)
        let released = pool.release(old)
        let retained = pool.retain(old)
        #expect(!released && !retained)
        #expect(pool.referenceCount(of: new) == 1)
        #expect(pool.faultCount == 2)
    }

    @Test func booksBalance() throws {
        var pool = BlockPool(blockCount: 3)
        let blocks = [try block(from: &pool), try block(from: &pool), try block(from: &pool)]
        let none = pool.allocate()
        #expect(none == nil)
        let retained = pool.retain(blocks[0])
        let first = pool.release(blocks[0])
        let second = pool.release(blocks[0])
        #expect(retained && !first && second)
        #expect(pool.usedCount == 2 && pool.cachedCount == 1 && pool.freeCount == 0)
        let discrepancies = pool.discrepancies()
        #expect(discrepancies == [])
    }
}
