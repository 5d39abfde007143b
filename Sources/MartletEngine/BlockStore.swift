/// The KV cache as sequences use it: the pool and the prefix cache behind one door, so that a block is always on
/// exactly one of their lists.
package struct BlockStore: ~Copyable {
    private(set) var pool: BlockPool
    private(set) var prefixes: PrefixCache

    package init(blockCount: Int) {
        pool = BlockPool(blockCount: blockCount)
        prefixes = PrefixCache(blockCount: blockCount)
    }

    package var blockCount: Int { pool.blockCount }
    package var usedCount: Int { pool.usedCount }
    package var cachedCount: Int { prefixes.evictableCount }
    /// Blocks that `allocate` can give, free ones and evicted ones.
    package var availableCount: Int { pool.freeCount + prefixes.evictableCount }

    /// A block with one holder and no contents, evicting an old prefix if none is free; nil if all are held.
    package mutating func allocate() -> BlockHandle? {
        if let block = pool.allocate() { return block }
        guard let old = prefixes.evict() else { return nil }
        pool.reclaim(old)
        return pool.allocate()
    }

    /// The cached blocks that `chain` begins with. Nothing is held yet.
    package func match(_ chain: [BlockKey]) -> [BlockHandle] { prefixes.match(chain) }

    /// How many of `blocks` nobody holds: holding them takes as many from `availableCount`.
    package func evictableCount(among blocks: [BlockHandle]) -> Int { blocks.count { prefixes.isEvictable($0) } }

    /// One more holder of a cached or used block. False if it is gone.
    package mutating func retain(_ block: BlockHandle) -> Bool {
        guard pool.retain(block) else { return false }
        prefixes.retain(block)
        return true
    }

    /// One holder less; the last one leaves it to the prefix cache, or free.
    package mutating func release(_ block: BlockHandle) {
        if pool.release(block), !prefixes.keep(block) { pool.reclaim(block) }
    }

    /// The block is full and computed: others may begin with it. False if another block has these contents already.
    @discardableResult package mutating func publish(_ block: BlockHandle, as key: BlockKey) -> Bool {
        prefixes.publish(block, as: key)
    }

    /// Checks free + cached + used = total, and that `tables` hold every reference there is. Empty is right.
    package func discrepancies(tables: [BlockTable]) -> [String] {
        var found = pool.discrepancies() + prefixes.discrepancies()
        if pool.cachedCount != prefixes.evictableCount {
            found.append("\(pool.cachedCount) blocks off the free list, \(prefixes.evictableCount) evictable")
        }
        var holders: [BlockHandle: Int] = [:]
        for table in tables {
            if Set(table.blocks).count != table.count { found.append("a sequence holds a block twice") }
            for block in table.blocks { holders[block, default: 0] += 1 }
        }
        if holders.count != pool.usedCount { found.append("\(pool.usedCount) used blocks, \(holders.count) held") }
        for (block, count) in holders where pool.referenceCount(of: block) != count {
            found.append("block \(block.id): \(pool.referenceCount(of: block)) references, \(count) holders")
        }
        return found
    }
}
