import MartletParallel

/// Whoever follows the lead rank: told what it does, in its order, and never waited for here.
package protocol Followers: AnyObject {
    /// Throws what no other process can be told; nobody has been told then.
    func put(_ order: RankOrder) throws
}

/// All ranks that follow in other processes.
package final class LinkedFollowers: Followers {
    private let link: RankLink

    package init(_ link: RankLink) { self.link = link }

    package func put(_ order: RankOrder) throws { try link.order(order.encoded()) }
}
