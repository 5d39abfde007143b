import Synchronization

/// Tells a busy engine from a stuck one by its ticks (D4). Asked from any thread; never waits for the engine's.
package final class HealthWatch: Sendable {
    private struct State {
        var isBusy = false
        var deathReason: String?
        var lastTicks: UInt64 = 0
        /// When the ticks were last seen to have moved, or the engine to be idle.
        var lastMove: Double
        var lastLook: Double
    }

    private let progress: StepProgress
    private let stallSeconds: Double
    private let state: Mutex<State>
    /// Two looks further apart than this say that the watcher slept too (a stopped process, a suspended machine):
    /// no more than this is counted against the engine.
    private static let longestGapSeconds = 15.0

    /// `stallSeconds` without a tick are a stall.
    package init(progress: StepProgress, stallSeconds: Double = 10, now: Double) {
        self.progress = progress
        self.stallSeconds = stallSeconds
        state = Mutex(State(lastMove: now, lastLook: now))
    }

    /// The engine's word that it has work, or none.
    package func setBusy(_ isBusy: Bool) {
        if isBusy { progress.tick() }
        state.withLock { $0.isBusy = isBusy }
    }

    package func die(reason: String) { state.withLock { $0.deathReason = $0.deathReason ?? reason } }
    package var deathReason: String? { state.withLock { $0.deathReason } }

    /// What the ticks since the last look say at `now`, in seconds of a monotonic clock.
    package func look(now: Double) -> EngineHealth {
        let ticks = progress.tickCount
        return state.withLock { state in
            if let reason = state.deathReason { return .dead(reason: reason) }
            let gap = now - state.lastLook
            state.lastLook = now
            if !state.isBusy || ticks != state.lastTicks {
                state.lastTicks = ticks
                state.lastMove = now
                return .alive
            }
            if gap > Self.longestGapSeconds { state.lastMove += gap - Self.longestGapSeconds }
            let seconds = now - state.lastMove
            return seconds < stallSeconds ? .alive : .stalled(seconds: seconds)
        }
    }
}
