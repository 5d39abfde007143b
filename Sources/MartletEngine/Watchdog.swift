/// What is to be done about an engine that falls silent: a value, asked about once a second.
package struct Watchdog: Sendable {
    package enum Action: Sendable, Equatable {
        /// Once for every silence.
        case warn(String)
        /// The silence that was warned of is over.
        case relief(String)
        /// Nothing will come of it: its streams are to be ended, and the process.
        case giveUp(String)
    }

    private var hasWarned = false

    package init() {}

    package mutating func look(at health: EngineHealth) -> Action? {
        switch health {
        case .alive:
            guard hasWarned else { return nil }
            hasWarned = false
            return .relief("The engine makes progress again.")
        case .silent(let seconds), .stalled(let seconds):
            guard !hasWarned else { return nil }
            hasWarned = true
            return .warn("The engine has work and has made no progress for \(Int(seconds)) seconds.")
        case .lost(let seconds):
            return .giveUp("The engine has made no progress for \(Int(seconds)) seconds and is given up.")
        case .dead:
            // Whoever runs the engine ends the process.
            return nil
        }
    }
}
