import MartletEngine

/// A KV cache whose entries are hashes: what is read tells whether the right thing was written where it was read.
/// Blocks that enter a table fresh are poisoned, so that nothing of their former owner is ever read unnoticed.
struct ScriptedKVCache {
    private var entries: [UInt64?]
    /// How many slots have the block in their table.
    private var ownerCounts: [Int]
    let blockSize: Int

    init(blockCount: Int, blockSize: Int) {
        entries = Array(repeating: nil, count: blockCount * blockSize)
        ownerCounts = Array(repeating: 0, count: blockCount)
        self.blockSize = blockSize
    }

    mutating func own(_ block: BlockID, isCached: Bool) throws {
        guard ownerCounts.indices.contains(Int(block)) else { throw PlanViolation("block \(block) does not exist") }
        if !isCached {
            guard ownerCounts[Int(block)] == 0 else { throw PlanViolation("fresh block \(block) has an owner") }
            for index in 0..<blockSize { entries[Int(block) * blockSize + index] = nil }
        }
        ownerCounts[Int(block)] += 1
    }

    mutating func disown(_ block: BlockID) { ownerCounts[Int(block)] -= 1 }

    mutating func write(_ entry: UInt64, at position: Int, table: [BlockID]) throws {
        let block = try block(of: position, in: table)
        guard ownerCounts[block] == 1 else { throw PlanViolation("write to shared block \(block)") }
        entries[block * blockSize + position % blockSize] = entry
    }

    func read(_ position: Int, table: [BlockID]) throws -> UInt64 {
        guard let entry = entries[try block(of: position, in: table) * blockSize + position % blockSize] else {
            throw PlanViolation("position \(position) was never written")
        }
        return entry
    }

    private func block(of position: Int, in table: [BlockID]) throws -> Int {
        guard position / blockSize < table.count else { throw PlanViolation("position \(position) has no block") }
        return Int(table[position / blockSize])
    }
}

/// A plan that the runner's mirrored state does not allow.
struct PlanViolation: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Mixes the bits of a word (the finaliser of SplitMix64).
func mixed(_ value: UInt64) -> UInt64 {
    var value = value &+ 0x9E37_79B9_7F4A_7C15
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
}
