import MartletParallel

/// Whoever follows the lead rank: told what it does, in its order, and never waited for here.
package protocol Followers: AnyObject {
    /// Throws what no other process can be told; nobody has been told then.
    func put(_ order: RankOrder) throws
}

/// Ranks of a copy that follow in other processes.
package final class LinkedFollowers: Followers {
    private let link: RankLink
    private let ranks: Range<Int>

    /// `ranks`: of the world; rank 0, whose link it is, is none of them.
    package init(_ link: RankLink, ranks: Range<Int>) {
        self.link = link
        self.ranks = ranks
    }

    package func put(_ order: RankOrder) throws { try link.order(order.encoded(), to: ranks) }
}
