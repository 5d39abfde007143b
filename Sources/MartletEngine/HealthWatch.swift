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
    private let limits: SilenceLimits
    private let state: Mutex<State>
    package init(progress: StepProgress, limits: SilenceLimits = SilenceLimits(), now: Double) {
        self.progress = progress
        self.limits = limits
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
            if gap > limits.longestGapSeconds { state.lastMove += gap - limits.longestGapSeconds }
            let seconds = now - state.lastMove
            if seconds >= limits.exitSeconds { return .lost(seconds: seconds) }
            if seconds >= limits.stallSeconds { return .stalled(seconds: seconds) }
            return seconds >= limits.warningSeconds ? .silent(seconds: seconds) : .alive
        }
    }
}

/// How long a busy engine may go without a tick.
package struct SilenceLimits: Sendable, Equatable {
    /// After this the log says so,
    package var warningSeconds = 10.0
    /// after this probes answer 503,
    package var stallSeconds = 60.0
    /// and after this the process gives up.
    package var exitSeconds = 90.0
    /// Two looks further apart than this say that the watcher slept too (a stopped process, a suspended machine): no
    /// more than this is counted against the engine.
    package var longestGapSeconds = 15.0

    package init() {}

    /// All of them at the scale of the last, which is 90 seconds unless said otherwise.
    package init(exitSeconds: Double) {
        warningSeconds = exitSeconds / 9
        stallSeconds = exitSeconds * 2 / 3
        longestGapSeconds = exitSeconds / 6
        self.exitSeconds = exitSeconds
    }
}
