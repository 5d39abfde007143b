import MartletCore
import MartletEngine
import Testing

@Suite struct BlockStoreTests {
    private func block(from store: inout BlockStore) throws -> BlockHandle {
        let block = store.allocate()
        return try #require(block)
    }

    private func chain(_ count: Int, salt: String = "") -> [BlockKey] {
        var keys = [BlockKey(modelIdentity: "m", salt: salt)]
        for index in 0..<count {
            let tokens: [TokenID] = [TokenID(index)]
            keys.append(BlockKey(parent: keys[index], tokens: tokens[...], start: index, images: []))
        }
        return Array(keys.dropFirst())
    }

    @Test func theLongestPrefixIsFound() throws {
        var store = BlockStore(blockCount: 8)
        let keys = chain(4)
        for key in keys.prefix(3) {
            let block = try self.block(from: &store)
            store.publish(block, as: key)
            store.release(block)
        }
        #expect(store.match(keys).map(\.id) == [0, 1, 2])
        #expect(store.match(Array(keys.dropFirst())).count == 2)
        #expect(store.match(chain(4, salt: "other")).isEmpty)
        #expect(store.cachedCount == 3 && store.usedCount == 0 && store.availableCount == 8)
    }

    @Test func theLeastRecentlyUsedGoesFirst() throws {
        var store = BlockStore(blockCount: 3)
        let keys = chain(3)
        var blocks: [BlockHandle] = []
        for key in keys {
            let block = try self.block(from: &store)
            store.publish(block, as: key)
            blocks.append(block)
        }
        for index in [1, 0, 2] { store.release(blocks[index]) }
        let held = store.retain(blocks[1])
        #expect(held)
        let newcomer = try block(from: &store)
        #expect(newcomer.id == blocks[0].id && newcomer.generation != blocks[0].generation)
        #expect(store.match(Array(keys.prefix(1))).isEmpty)
        let next = try block(from: &store)
        #expect(next.id == blocks[2].id)
        let none = store.allocate()
        #expect(none == nil, "a held prefix is never evicted")
    }

    @Test func equalContentsAreFiledOnce() throws {
        var store = BlockStore(blockCount: 2)
        let key = chain(1)[0]
        let first = try block(from: &store)
        let second = try block(from: &store)
        store.publish(first, as: key)
        store.publish(second, as: key)
        store.release(second)
        store.release(first)
        #expect(store.cachedCount == 1 && store.availableCount == 2)
        #expect(store.match([key]) == [first])
        #expect(store.discrepancies(tables: []) == [])
    }

    @Test func aLostReferenceIsNoticed() throws {
        var store = BlockStore(blockCount: 2)
        _ = store.allocate()
        #expect(store.discrepancies(tables: []) == ["1 used blocks, 0 held"])
    }
}
