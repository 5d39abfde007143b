import Synchronization

/// Shared between the thread that computes a step and those that watch it. The watchdog watches ticks, not steps:
/// a step may be long, a stuck one does not tick.
package final class StepProgress: Sendable {
    private let ticks = Atomic<UInt64>(0)
    private let cancelled = Atomic<Bool>(false)

    package init() {}

    /// Called by the runner at every layer and vision unit.
    package func tick() { ticks.add(1, ordering: .relaxed) }
    package var tickCount: UInt64 { ticks.load(ordering: .relaxed) }
    /// The engine is stopping: the runner leaves the step at the next layer by throwing `CancellationError`.
    package func cancel() { cancelled.store(true, ordering: .relaxed) }
    package var isCancelled: Bool { cancelled.load(ordering: .relaxed) }
}
