/// Who holds which block of the KV cache: a free list and reference counts. A block is free (no references, on the
/// list), used (references), or cached (no references, off the list: `PrefixCache` keeps its contents).
package struct BlockPool: ~Copyable {
    private var free: [BlockID]
    private var referenceCounts: [Int32]
    private var generations: [UInt32]
    private var isFree: [Bool]
    package private(set) var usedCount = 0
    /// Releases and retains with a handle of another generation or without a reference. Anything but 0 is a bug;
    /// the block then stays where it is, since a lost block is better than a shared one.
    package private(set) var faultCount: UInt64 = 0

    package init(blockCount: Int) {
        free = (0..<blockCount).reversed().map { BlockID($0) }
        referenceCounts = Array(repeating: 0, count: blockCount)
        generations = Array(repeating: 0, count: blockCount)
        isFree = Array(repeating: true, count: blockCount)
    }

    package var blockCount: Int { referenceCounts.count }
    package var freeCount: Int { free.count }
    /// Neither free nor used.
    package var cachedCount: Int { blockCount - freeCount - usedCount }

    package func referenceCount(of block: BlockHandle) -> Int { Int(referenceCounts[Int(block.id)]) }

    /// A free block with one reference, or nil if none is free.
    package mutating func allocate() -> BlockHandle? {
        guard let id = free.popLast() else { return nil }
        isFree[Int(id)] = false
        referenceCounts[Int(id)] = 1
        usedCount += 1
        return BlockHandle(id: id, generation: generations[Int(id)])
    }

    /// One more holder of a used or cached block. False (and a fault) if the handle is stale.
    package mutating func retain(_ block: BlockHandle) -> Bool {
        guard isCurrent(block) else { return fault() }
        if referenceCounts[Int(block.id)] == 0 { usedCount += 1 }
        referenceCounts[Int(block.id)] += 1
        return true
    }

    /// One holder less. True if it was the last: the block is now cached, and the caller either keeps it so or calls
    /// `reclaim`.
    package mutating func release(_ block: BlockHandle) -> Bool {
        guard isCurrent(block), referenceCounts[Int(block.id)] > 0 else { return fault() }
        referenceCounts[Int(block.id)] -= 1
        guard referenceCounts[Int(block.id)] == 0 else { return false }
        usedCount -= 1
        return true
    }

    /// A cached block becomes free; its handles are stale from here on.
    package mutating func reclaim(_ block: BlockHandle) {
        guard isCurrent(block), referenceCounts[Int(block.id)] == 0 else {
            _ = fault()
            return
        }
        generations[Int(block.id)] &+= 1
        isFree[Int(block.id)] = true
        free.append(block.id)
    }

    /// What is wrong with the books, recounted from nothing; empty is right.
    package func discrepancies() -> [String] {
        var found: [String] = []
        let listed = Set(free)
        if listed.count != free.count { found.append("a block is on the free list twice") }
        for index in 0..<blockCount where isFree[index] != listed.contains(BlockID(index)) {
            found.append("block \(index): free list and flag disagree")
        }
        for index in 0..<blockCount where isFree[index] && referenceCounts[index] != 0 {
            found.append("block \(index) is free and has \(referenceCounts[index]) references")
        }
        let used = referenceCounts.count { $0 > 0 }
        if used != usedCount { found.append("\(used) blocks have references, \(usedCount) are counted") }
        if faultCount != 0 { found.append("\(faultCount) stale or double releases") }
        return found
    }

    private func isCurrent(_ block: BlockHandle) -> Bool {
        !isFree[Int(block.id)] && generations[Int(block.id)] == block.generation
    }

    private mutating func fault() -> Bool {
        faultCount += 1
        return false
    }
}
