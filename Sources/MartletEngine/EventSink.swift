/// The engine's end of one request's stream (D15): bounded, never waited for. Room for the last word of every choice
/// is kept back, so that even a request that is cancelled because its buffer is full ends explicitly.
struct EventSink {
    private let continuation: AsyncStream<GenerationEvent>.Continuation
    /// Choices that have not finished.
    private(set) var unfinishedCount: Int

    /// The sink, the client's end, and `onDrop` for when that end is dropped or its reader cancelled.
    static func make(
        bufferLimit: Int, choiceCount: Int, onDrop: @escaping @Sendable () -> Void
    ) -> (sink: EventSink, events: AsyncStream<GenerationEvent>) {
        let limit = max(1, bufferLimit) + choiceCount
        let (events, continuation) = AsyncStream.makeStream(
            of: GenerationEvent.self, bufferingPolicy: .bufferingOldest(limit))
        continuation.onTermination = { if case .cancelled = $0 { onDrop() } }
        return (EventSink(continuation: continuation, unfinishedCount: choiceCount), events)
    }

    /// Says `event`. True if only the room for the last words is left: the request must be cancelled.
    mutating func send(_ event: GenerationEvent) -> Bool {
        let isFull =
            switch continuation.yield(event) {
            case .enqueued(let room): room <= unfinishedCount
            case .dropped: true
            case .terminated: false
            @unknown default: false
            }
        guard case .finished = event else { return isFull }
        unfinishedCount -= 1
        if unfinishedCount == 0 { continuation.finish() }
        return false
    }
}
