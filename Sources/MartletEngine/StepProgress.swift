import Synchronization

/// Shared between the thread that computes a step and those that watch it. The watchdog watches ticks, not steps:
/// a step may be long, a stuck one does not tick.
package final class StepProgress: Sendable {
    private let ticks = Atomic<UInt64>(0)
    private let cancelled = Atomic<Bool>(false)
    private let forwardNanoseconds = Atomic<UInt64>(0)
    private let lead: StepProgress?
    private let trace: PipelineTrace?
    private let stage: Int

    /// `lead`: of the rank that the engine watches, where this is another's in the same process: ticks and cancellation
    /// are common, so that a rank which waits for another is seen to move and a stop is noticed wherever there is work.
    /// `trace`: told when `stage` computes.
    package init(of lead: StepProgress? = nil, trace: PipelineTrace? = nil, stage: Int = 0) {
        self.lead = lead
        self.trace = trace
        self.stage = stage
    }

    /// Called by the runner at every layer and vision unit.
    package func tick() { (lead ?? self).ticks.add(1, ordering: .relaxed) }
    package var tickCount: UInt64 { (lead ?? self).ticks.load(ordering: .relaxed) }
    /// The engine is stopping: the runner leaves the step at the next layer by throwing `CancellationError`.
    package func cancel() { (lead ?? self).cancelled.store(true, ordering: .relaxed) }
    package var isCancelled: Bool { (lead ?? self).cancelled.load(ordering: .relaxed) }

    /// Runs work of the model's own operations and adds its time to `forwardSeconds`: what a step takes beyond these
    /// is overhead. Not to be nested.
    package func forward<Result>(_ body: () throws -> Result) rethrows -> Result {
        trace?.note(stage: stage, isBusy: true)
        let start = ContinuousClock.now
        defer {
            let time = (ContinuousClock.now - start) / .nanoseconds(1)
            forwardNanoseconds.add(UInt64(max(0, time)), ordering: .relaxed)
            trace?.note(stage: stage, isBusy: false)
        }
        return try body()
    }
    /// Of this rank, since the start.
    package var forwardSeconds: Double { Double(forwardNanoseconds.load(ordering: .relaxed)) * 1e-9 }
}
