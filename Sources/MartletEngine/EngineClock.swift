/// Seconds of a clock that never goes back, from an arbitrary zero. A value, so that tests bring their own.
package struct EngineClock: Sendable {
    package let now: @Sendable () -> Double

    package init(now: @escaping @Sendable () -> Double) { self.now = now }

    package static func monotonic() -> EngineClock {
        let zero = ContinuousClock.now
        return EngineClock { (ContinuousClock.now - zero) / .seconds(1) }
    }
}
