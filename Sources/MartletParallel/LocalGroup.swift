import Synchronization

/// Ranks that are threads of this process, and exchange through its memory.
package final class LocalGroup: Sendable {
    package let size: Int
    /// Entrance and exit of every operation in which all take part. Nobody passes the entrance of a group that is
    /// broken up; whoever has passed it is met at the exit, for the others read his memory until then.
    let entrance, exit: Rendezvous
    let places: [Place]
    /// From every rank to every rank.
    private let mailboxes: [MessageQueue<[UInt8]>]
    private let reason = Mutex<String?>(nil)
    /// By the ranks that they are made of.
    private let subgroups = Mutex<[[Int]: LocalGroup]>([:])
    private let messageLimit: Int

    /// What a rank shows the others while an operation lasts.
    final class Place: Sendable {
        let address = Atomic<UInt>(0)
        let count = Atomic<Int>(0)
    }

    /// `messageLimit`: messages from one rank to another that may be under way.
    package init(size: Int, messageLimit: Int = 2) {
        precondition(size > 0, "\(size) ranks")
        self.size = size
        self.messageLimit = messageLimit
        entrance = Rendezvous(count: size)
        exit = Rendezvous(count: size)
        places = (0..<size).map { _ in Place() }
        mailboxes = (0..<size * size).map { _ in MessageQueue(limit: messageLimit) }
    }

    /// The group as rank `rank` sees it; one for each.
    package func communicator(ofRank rank: Int) -> LocalCommunicator { LocalCommunicator(self, rank: rank) }

    /// See `Communicator.breakUp`.
    package func breakUp(_ reason: String) {
        let first = self.reason.withLock { known in
            let first = known ?? reason
            known = first
            return first
        }
        entrance.breakUp()
        for mailbox in mailboxes { mailbox.close() }
        for subgroup in subgroups.withLock({ Array($0.values) }) { subgroup.breakUp(first) }
    }

    /// The same one for each of `ranks`.
    func subgroup(_ ranks: [Int]) -> LocalGroup {
        let subgroup = subgroups.withLock { known in
            let found = known[ranks] ?? LocalGroup(size: ranks.count, messageLimit: messageLimit)
            known[ranks] = found
            return found
        }
        // It may have been made after all others were told.
        if let error { subgroup.breakUp(error.reason) }
        return subgroup
    }

    func mailbox(from source: Int, to target: Int) -> MessageQueue<[UInt8]> { mailboxes[source * size + target] }

    /// Why it was broken up; nil if it was not.
    var error: CommunicatorError? { reason.withLock { $0 }.map { CommunicatorError(reason: $0) } }

    /// Of an operation that found the group broken up.
    var failure: CommunicatorError { error ?? CommunicatorError(reason: "the group has ended") }
}
