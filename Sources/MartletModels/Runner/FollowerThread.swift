import MartletParallel

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A rank of this process that follows the lead rank, on a thread of its own.
package final class FollowerThread: Followers {
    package let orders = MessageQueue<RankOrder>()
    private let thread: pthread_t?

    /// `body` runs at once, on `processors` where these are given; what it throws breaks up the group. A thread that
    /// the system refuses does too.
    package init(
        rank: Int, group: LocalGroup, processors: [Int],
        _ body: @escaping @Sendable (MessageQueue<RankOrder>) throws -> Void
    ) {
        let orders = orders
        thread = startThread(name: "martlet-rank-\(rank)") {
            ThreadAffinity.pin(to: processors)
            do { try body(orders) } catch { group.breakUp("rank \(rank): \(error)") }
        }
        if thread == nil { group.breakUp("rank \(rank): the system has no thread for it") }
    }

    package func put(_ order: RankOrder) { orders.put(order) }

    /// Waits until the rank has done what was ordered.
    deinit {
        orders.close()
        if let thread { pthread_join(thread, nil) }
    }
}
