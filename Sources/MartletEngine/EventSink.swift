import MartletCore
import Synchronization

/// The engine's end of one request's stream (D15): bounded, never waited for. Room for the last word of every choice
/// is kept back, so that even a request that is cancelled because its buffer is full ends explicitly.
final class EventSink: Sendable {
    /// Where `send` is to be called; nil = on the engine's thread.
    let route: (any EventRoute)?
    private let continuation: AsyncStream<GenerationEvent>.Continuation
    private let cancel: @Sendable () -> Void
    /// Only the room for the last words is left; tokens are dropped.
    private let isFull = Atomic<Bool>(false)

    private init(
        _ continuation: AsyncStream<GenerationEvent>.Continuation, route: (any EventRoute)?,
        cancel: @escaping @Sendable () -> Void
    ) {
        self.continuation = continuation
        self.route = route
        self.cancel = cancel
    }

    /// The sink and the client's end. `cancel` is called when nobody reads that end any more, or too slowly.
    static func make(
        bufferLimit: Int, choiceCount: Int, route: (any EventRoute)?, cancel: @escaping @Sendable () -> Void
    ) -> (sink: EventSink, events: AsyncStream<GenerationEvent>) {
        let limit = max(1, bufferLimit) + choiceCount
        let (events, continuation) = AsyncStream.makeStream(
            of: GenerationEvent.self, bufferingPolicy: .bufferingOldest(limit))
        continuation.onTermination = { if case .cancelled = $0 { cancel() } }
        return (EventSink(continuation, route: route, cancel: cancel), events)
    }

    /// Says `event`, after which `unfinishedCount` choices have not finished. One at a time, in order.
    func send(_ event: GenerationEvent, unfinishedCount: Int) {
        let isFull = isFull.load(ordering: .relaxed)
        if case .finished(let choice, _, _, _) = event {
            // Whatever end it came to, tokens are missing from what its reader gets.
            let lost = GenerationEvent.finished(
                choice: choice, reason: .cancelled, stopToken: nil, message: "The client reads too slowly.")
            continuation.yield(isFull ? lost : event)
            if unfinishedCount == 0 { continuation.finish() }
        } else if !isFull, case .enqueued(let room) = continuation.yield(event), room <= unfinishedCount {
            self.isFull.store(true, ordering: .relaxed)
            cancel()
        }
    }
}
