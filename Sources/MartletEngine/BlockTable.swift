/// The blocks of one sequence, in the order of its positions.
package struct BlockTable: Sendable, Equatable {
    package private(set) var blocks: [BlockHandle] = []

    package init() {}

    package var count: Int { blocks.count }

    package mutating func append(_ block: BlockHandle) { blocks.append(block) }

    /// Gives the blocks up, last first: the tail of a prefix is evicted before its head.
    package mutating func removeAll() -> [BlockHandle] {
        defer { blocks = [] }
        return blocks.reversed()
    }

    /// Blocks that `positions` positions take.
    package static func blockCount(positions: Int, blockSize: Int) -> Int { (positions + blockSize - 1) / blockSize }
}
