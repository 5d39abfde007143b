import CMartletKernels
import Foundation
import Synchronization

/// Where threads wait for what other threads bring about: they look for some microseconds, then sleep.
package final class WaitingRoom: Sendable {
    /// Looks before a thread sleeps: about the time between two regions or exchanges of a forward pass.
    private static let looks = 1000

    private let sleeperCount = Atomic<Int>(0)
    private let condition = NSCondition()

    package init() {}

    /// Threads that wait without using a processor.
    package var sleepingCount: Int { sleeperCount.load(ordering: .acquiring) }

    /// Returns once `isThere`, which reads atomics in sequentially consistent order, or what a mutex guards.
    package func wait(until isThere: () -> Bool) {
        for _ in 0..<Self.looks {
            if isThere() { return }
            martlet_pause()
        }
        condition.lock()
        sleeperCount.add(1, ordering: .sequentiallyConsistent)
        while !isThere() { condition.wait() }
        sleeperCount.subtract(1, ordering: .sequentiallyConsistent)
        condition.unlock()
    }

    /// To be called after whatever may have made an `isThere` true.
    package func wake() {
        guard sleeperCount.load(ordering: .sequentiallyConsistent) > 0 else { return }
        // Under the lock, so that a thread between its last look and its sleep is not missed.
        condition.lock()
        condition.broadcast()
        condition.unlock()
    }
}
