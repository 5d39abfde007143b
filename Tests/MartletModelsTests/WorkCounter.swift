import Synchronization

/// Counts a backend's work, readable from the test while the engine runs.
final class WorkCounter: Sendable {
    private let productCount = Atomic<Int>(0)
    private let embeddedRowCount = Atomic<Int>(0)
    private let weightByteCount = Atomic<Int>(0)
    private let activationByteCount = Atomic<Int>(0)
    private let cacheByteCount = Atomic<Int>(0)
    private let unreadChoiceCount = Atomic<Int>(0)
    private let mostUnreadCount = Atomic<Int>(0)

    func countProduct() { productCount.add(1, ordering: .relaxed) }
    func countRows(_ count: Int) { embeddedRowCount.add(count, ordering: .relaxed) }
    func countWeights(_ bytes: Int) { weightByteCount.add(bytes, ordering: .relaxed) }
    func countActivation(_ bytes: Int) { activationByteCount.add(bytes, ordering: .relaxed) }
    func countCache(_ bytes: Int) { cacheByteCount.add(bytes, ordering: .relaxed) }
    func countChoice() {
        let unread = unreadChoiceCount.add(1, ordering: .relaxed).newValue
        mostUnreadCount.max(unread, ordering: .relaxed)
    }
    func countReading() { unreadChoiceCount.subtract(1, ordering: .relaxed) }

    /// Calls of `linear`.
    var products: Int { productCount.load(ordering: .relaxed) }
    /// Rows that entered the decoder.
    var rows: Int { embeddedRowCount.load(ordering: .relaxed) }
    /// What was allocated, given back or not.
    var weightBytes: Int { weightByteCount.load(ordering: .relaxed) }
    var activationBytes: Int { activationByteCount.load(ordering: .relaxed) }
    var cacheBytes: Int { cacheByteCount.load(ordering: .relaxed) }
    /// Choices that were made before their tokens were asked for, at most.
    var unreadChoices: Int { mostUnreadCount.load(ordering: .relaxed) }
}
