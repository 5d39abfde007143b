import DequeModule
import Synchronization

/// Messages from one thread to another, in order.
package final class MessageQueue<Message: Sendable>: Sendable {
    private struct State {
        var messages = Deque<Message>()
        var isClosed = false
    }

    private let state = Mutex(State())
    private let room = WaitingRoom()
    private let limit: Int

    /// `limit`: messages that may be under way before `put` waits.
    package init(limit: Int = .max) { self.limit = limit }

    /// False, and the message is dropped, if the queue is closed.
    @discardableResult
    package func put(_ message: Message) -> Bool {
        room.wait { state.withLock { $0.isClosed || $0.messages.count < limit } }
        let isTaken = state.withLock { state in
            if !state.isClosed { state.messages.append(message) }
            return !state.isClosed
        }
        room.wake()
        return isTaken
    }

    /// Waits for the next; nil once the queue is closed and all that came before is taken.
    package func next() -> Message? {
        room.wait { state.withLock { $0.isClosed || !$0.messages.isEmpty } }
        let message = state.withLock { $0.messages.popFirst() }
        room.wake()
        return message
    }

    package func close() {
        state.withLock { $0.isClosed = true }
        room.wake()
    }
}
