/// Whether the other side of a link lives, by when it was last heard of. Times in seconds of a monotonic clock.
struct HeartbeatWatch {
    /// Between two signs of life.
    static let intervalSeconds = 0.25
    /// Silence after which a rank is lost: so that it is known of within 2 s.
    static let lossSeconds = 1.6
    /// Two looks further apart than this say that the watcher slept itself (a stopped process, a suspended machine): no
    /// more than this is counted against the other side.
    private static let longestGapSeconds = 0.5

    private var lastHeard: Double
    private var lastLook: Double
    private var lastSent: Double

    init(now: Double) {
        lastHeard = now
        lastLook = now
        lastSent = now
    }

    mutating func heard(now: Double) { lastHeard = now }

    /// Whether a sign of life is due, which is then taken as sent.
    mutating func isDue(now: Double) -> Bool {
        guard now - lastSent >= Self.intervalSeconds else { return false }
        lastSent = now
        return true
    }

    /// To be asked several times a second.
    mutating func isLost(now: Double) -> Bool {
        let gap = now - lastLook
        lastLook = now
        if gap > Self.longestGapSeconds { lastHeard += gap - Self.longestGapSeconds }
        return now - lastHeard >= Self.lossSeconds
    }
}
