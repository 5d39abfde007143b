import MartletCore

/// The engine's end of one request's stream (D15): bounded, never waited for. Room for the last word of every choice
/// is kept back, so that even a request that is cancelled because its buffer is full ends explicitly.
///
/// `@unchecked Sendable`: only the thread of `route`, or the engine's if there is none, touches what changes.
final class EventSink: @unchecked Sendable {
    /// Where `send` is to be called; nil = on the engine's thread.
    let route: (any EventRoute)?
    private let continuation: AsyncStream<GenerationEvent>.Continuation
    private let onFull: @Sendable () -> Void
    /// Choices that have not finished.
    private var unfinishedCount: Int
    private var isFull = false

    private init(
        _ continuation: AsyncStream<GenerationEvent>.Continuation, route: (any EventRoute)?, choiceCount: Int,
        onFull: @escaping @Sendable () -> Void
    ) {
        self.route = route
        self.continuation = continuation
        self.onFull = onFull
        unfinishedCount = choiceCount
    }

    /// The sink and the client's end. `onDrop` is called when that end is dropped or its reader cancelled, `onFull`
    /// when only the room for the last words is left: the request must be cancelled, and until it is, its tokens are
    /// dropped.
    static func make(
        bufferLimit: Int, choiceCount: Int, route: (any EventRoute)?, onDrop: @escaping @Sendable () -> Void,
        onFull: @escaping @Sendable () -> Void
    ) -> (sink: EventSink, events: AsyncStream<GenerationEvent>) {
        let limit = max(1, bufferLimit) + choiceCount
        let (events, continuation) = AsyncStream.makeStream(
            of: GenerationEvent.self, bufferingPolicy: .bufferingOldest(limit))
        continuation.onTermination = { if case .cancelled = $0 { onDrop() } }
        return (EventSink(continuation, route: route, choiceCount: choiceCount, onFull: onFull), events)
    }

    func send(_ event: GenerationEvent) {
        if case .finished(let choice, _, _, _) = event {
            // Whatever end it came to, tokens are missing from what its reader gets.
            continuation.yield(
                !isFull ? event : .finished(
                    choice: choice, reason: .cancelled, stopToken: nil, message: "The client reads too slowly."))
            unfinishedCount -= 1
            if unfinishedCount == 0 { continuation.finish() }
        } else if !isFull, case .enqueued(let room) = continuation.yield(event), room <= unfinishedCount {
            isFull = true
            onFull()
        }
    }
}
