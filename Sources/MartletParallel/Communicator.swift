import MartletTensor

/// This rank's place among those that hold one model together. A group of one is the ordinary case.
package struct RankGroup: Sendable, Equatable {
    package let rank: Int
    package let count: Int

    package static let solo = RankGroup(rank: 0, count: 1)

    package init(rank: Int, count: Int) {
        precondition(count > 0 && (0..<count).contains(rank), "rank \(rank) of \(count)")
        self.rank = rank
        self.count = count
    }

    /// This rank's share of `total` units: contiguous, sizes differing by one at most.
    package func share(of total: Int) -> Range<Int> {
        (rank * total / count)..<((rank + 1) * total / count)
    }
}
