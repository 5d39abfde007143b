/// When things happened to a sequence, in seconds of the engine's monotonic clock.
package struct SequenceTiming: Sendable, Equatable {
    var firstScheduled: Double?
    var firstToken: Double?
    var lastToken: Double?
}
