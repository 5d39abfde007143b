import Synchronization

/// Shared between the thread that computes a step and those that watch it. The watchdog watches ticks, not steps:
/// a step may be long, a stuck one does not tick.
package final class StepProgress: Sendable {
    private let ticks = Atomic<UInt64>(0)
    private let cancelled = Atomic<Bool>(false)
    private let forwardNanoseconds = Atomic<UInt64>(0)

    package init() {}

    /// Called by the runner at every layer and vision unit.
    package func tick() { ticks.add(1, ordering: .relaxed) }
    package var tickCount: UInt64 { ticks.load(ordering: .relaxed) }
    /// The engine is stopping: the runner leaves the step at the next layer by throwing `CancellationError`.
    package func cancel() { cancelled.store(true, ordering: .relaxed) }
    package var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

    /// Runs work of the model's own operations and adds its time to `forwardSeconds`: what a step takes beyond these
    /// is overhead. Not to be nested.
    package func forward<Result>(_ body: () throws -> Result) rethrows -> Result {
        let start = ContinuousClock.now
        defer {
            let time = (ContinuousClock.now - start) / .nanoseconds(1)
            forwardNanoseconds.add(UInt64(max(0, time)), ordering: .relaxed)
        }
        return try body()
    }
    /// Since the start.
    package var forwardSeconds: Double { Double(forwardNanoseconds.load(ordering: .relaxed)) * 1e-9 }
}
