/// Full, computed blocks by key, so that a prompt that begins like an earlier one begins further on. Blocks that no
/// sequence holds stand in the order of their last use and go, oldest first, when the pool needs them.
package struct PrefixCache: ~Copyable {
    private var blocks: [BlockKey: BlockHandle] = [:]
    private var keys: [BlockID: BlockKey] = [:]
    /// The unheld blocks as a doubly linked list over block ids, least recently used first.
    private var previous: [BlockID?]
    private var next: [BlockID?]
    private var isListed: [Bool]
    private var oldest: BlockID?
    private var newest: BlockID?
    /// Blocks that could be evicted now.
    package private(set) var evictableCount = 0

    package init(blockCount: Int) {
        previous = Array(repeating: nil, count: blockCount)
        next = Array(repeating: nil, count: blockCount)
        isListed = Array(repeating: false, count: blockCount)
    }

    package var count: Int { blocks.count }

    /// The blocks of the longest prefix of `chain` that is here. Changes nothing: the caller must `retain` each
    /// (and the pool too) before anything may be evicted.
    package func match(_ chain: [BlockKey]) -> [BlockHandle] {
        var found: [BlockHandle] = []
        for key in chain {
            guard let block = blocks[key] else { break }
            found.append(block)
        }
        return found
    }

    /// Makes a full computed block findable. False if another block has these contents already.
    package mutating func publish(_ block: BlockHandle, as key: BlockKey) -> Bool {
        guard blocks[key] == nil, keys[block.id] == nil else { return false }
        blocks[key] = block
        keys[block.id] = key
        return true
    }

    package func contains(_ block: BlockHandle) -> Bool { keys[block.id] != nil }
    /// Nobody holds it: eviction may take it.
    package func isEvictable(_ block: BlockHandle) -> Bool { isListed[Int(block.id)] }

    /// A sequence holds it from now on.
    package mutating func retain(_ block: BlockHandle) {
        if isListed[Int(block.id)] { unlink(block.id) }
    }

    /// Its last holder left: it becomes the most recently used of the unheld. False if it was never published.
    package mutating func keep(_ block: BlockHandle) -> Bool {
        guard keys[block.id] != nil, !isListed[Int(block.id)] else { return false }
        isListed[Int(block.id)] = true
        previous[Int(block.id)] = newest
        if let newest { next[Int(newest)] = block.id } else { oldest = block.id }
        newest = block.id
        evictableCount += 1
        return true
    }

    /// Forgets the least recently used unheld block and gives it up, or nil if all are held.
    package mutating func evict() -> BlockHandle? {
        guard let id = oldest, let key = keys[id], let block = blocks[key] else { return nil }
        unlink(id)
        blocks[key] = nil
        keys[id] = nil
        return block
    }

    /// What is wrong with the books; empty is right.
    package func discrepancies() -> [String] {
        var found: [String] = []
        if blocks.count != keys.count { found.append("\(blocks.count) keys name \(keys.count) cached blocks") }
        for (id, key) in keys where blocks[key]?.id != id { found.append("block \(id) is filed under another's key") }
        var listed = 0
        var cursor = oldest
        while let id = cursor, listed <= isListed.count {
            if keys[id] == nil { found.append("block \(id) is evictable but has no key") }
            listed += 1
            cursor = next[Int(id)]
        }
        if listed != evictableCount { found.append("\(listed) evictable blocks, \(evictableCount) counted") }
        return found
    }

    private mutating func unlink(_ id: BlockID) {
        let before = previous[Int(id)]
        let after = next[Int(id)]
        if let before { next[Int(before)] = after } else { oldest = after }
        if let after { previous[Int(after)] = before } else { newest = before }
        previous[Int(id)] = nil
        next[Int(id)] = nil
        isListed[Int(id)] = false
        evictableCount -= 1
    }
}
