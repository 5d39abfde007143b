import Synchronization

/// Messages from one thread to another, in order, a few at a time.
final class Mailbox: Sendable {
    private struct State {
        var messages: [[UInt8]] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let room = WaitingRoom()
    private let limit: Int

    /// `limit`: messages that may lie here before `put` waits.
    init(limit: Int) { self.limit = limit }

    /// False if the mailbox is closed.
    func put(_ message: [UInt8]) -> Bool {
        room.wait { state.withLock { $0.isClosed || $0.messages.count < limit } }
        let isTaken = state.withLock { state in
            guard !state.isClosed else { return false }
            state.messages.append(message)
            return true
        }
        room.wake()
        return isTaken
    }

    /// nil if the mailbox is closed.
    func take() -> [UInt8]? {
        room.wait { state.withLock { $0.isClosed || !$0.messages.isEmpty } }
        let message: [UInt8]? = state.withLock { $0.isClosed ? nil : $0.messages.removeFirst() }
        room.wake()
        return message
    }

    /// Whoever waits or comes gets nothing any more.
    func close() {
        state.withLock { $0.isClosed = true }
        room.wake()
    }
}
