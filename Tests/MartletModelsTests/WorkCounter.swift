import Synchronization

/// Counts a backend's work, readable from the test while the engine runs.
final class WorkCounter: Sendable {
    private let productCount = Atomic<Int>(0)
    private let embeddedRowCount = Atomic<Int>(0)

    func countProduct() { productCount.add(1, ordering: .relaxed) }
    func countRows(_ count: Int) { embeddedRowCount.add(count, ordering: .relaxed) }

    /// Calls of `linear`.
    var products: Int { productCount.load(ordering: .relaxed) }
    /// Rows that entered the decoder.
    var rows: Int { embeddedRowCount.load(ordering: .relaxed) }
}
