import Synchronization

/// A place where a number of threads meet again and again.
final class Rendezvous: Sendable {
    private static let broken: UInt64 = 1 << 31
    private static let arrived: UInt64 = broken - 1

    private let count: UInt64
    /// How often all have met in the upper half; below it whether it is broken up, and who has come for the next time.
    private let state = Atomic<UInt64>(0)
    private let room = WaitingRoom()

    init(count: Int) {
        precondition(count > 0 && count < 1 << 31, "\(count) threads")
        self.count = UInt64(count)
    }

    /// Waits until all have come; false if it was broken up before they had. All get the same answer.
    func meet() -> Bool {
        var seen = state.load(ordering: .acquiring)
        while true {
            guard seen & Self.broken == 0 else { return false }
            let isLast = seen & Self.arrived == count - 1
            let next = isLast ? ((seen >> 32) &+ 1) << 32 : seen + 1
            let (came, current) = state.compareExchange(
                expected: seen, desired: next, ordering: .sequentiallyConsistent)
            if came, isLast {
                room.wake()
                return true
            }
            if came { break }
            seen = current
        }
        let meeting = seen >> 32
        room.wait {
            let now = state.load(ordering: .sequentiallyConsistent)
            return now >> 32 != meeting || now & Self.broken != 0
        }
        return state.load(ordering: .acquiring) >> 32 != meeting
    }

    /// Nobody meets here any more; who waits is let go.
    func breakUp() {
        var seen = state.load(ordering: .acquiring)
        while seen & Self.broken == 0 {
            seen = state.compareExchange(
                expected: seen, desired: seen | Self.broken, ordering: .sequentiallyConsistent
            ).original
        }
        room.wake()
    }
}
