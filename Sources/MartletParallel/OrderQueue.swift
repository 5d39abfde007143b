import DequeModule
import Synchronization

/// What a rank is to do, in order; filled by one thread and emptied by another.
package final class OrderQueue<Order: Sendable>: Sendable {
    private struct State {
        var orders = Deque<Order>()
        var isClosed = false
    }

    private let state = Mutex(State())
    private let room = WaitingRoom()

    package init() {}

    /// Dropped if the queue is closed.
    package func put(_ order: Order) {
        state.withLock { if !$0.isClosed { $0.orders.append(order) } }
        room.wake()
    }

    /// Waits for the next; nil once the queue is closed and all that came before is taken.
    package func next() -> Order? {
        room.wait { state.withLock { $0.isClosed || !$0.orders.isEmpty } }
        return state.withLock { $0.orders.popFirst() }
    }

    package func close() {
        state.withLock { $0.isClosed = true }
        room.wake()
    }
}
