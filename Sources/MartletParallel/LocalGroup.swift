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

    /// What a rank shows the others while an operation lasts.
    final class Place: Sendable {
        let address = Atomic<UInt>(0)
        let count = Atomic<Int>(0)
    }

    /// Messages from one rank to another that may be under way.
    private static let messageLimit = 2

    package init(size: Int) {
        precondition(size > 0, "\(size) ranks")
        self.size = size
        entrance = Rendezvous(count: size)
        exit = Rendezvous(count: size)
        places = (0..<size).map { _ in Place() }
        mailboxes = (0..<size * size).map { _ in MessageQueue(limit: Self.messageLimit) }
    }

    /// The group as rank `rank` sees it; one for each.
    package func communicator(ofRank rank: Int) -> LocalCommunicator { LocalCommunicator(self, rank: rank) }

    /// See `Communicator.breakUp`.
    package func breakUp(_ reason: String) {
        self.reason.withLock { $0 = $0 ?? reason }
        entrance.breakUp()
        for mailbox in mailboxes { mailbox.close() }
    }

    func mailbox(from source: Int, to target: Int) -> MessageQueue<[UInt8]> { mailboxes[source * size + target] }

    /// Why it was broken up; nil if it was not.
    var error: CommunicatorError? { reason.withLock { $0 }.map { CommunicatorError(reason: $0) } }

    /// Of an operation that found the group broken up.
    var failure: CommunicatorError { error ?? CommunicatorError(reason: "the group has ended") }
}
