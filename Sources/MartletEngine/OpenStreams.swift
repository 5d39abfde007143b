import MartletCore
import Synchronization

/// The requests whose answers somebody still reads. The engine's thread tells them what happens; when that thread is
/// stuck, whoever gives it up tells them that.
final class OpenStreams: Sendable {
    private struct Reader {
        let sink: EventSink
        /// Choices that have not finished.
        var unfinished: Set<Int>
    }

    private let readers = Mutex<[RequestID: Reader]>([:])

    func open(_ id: RequestID, sink: EventSink, choiceCount: Int) {
        readers.withLock { $0[id] = Reader(sink: sink, unfinished: Set(0..<choiceCount)) }
    }

    /// Notes `actions`, and puts what readers are to be told of them into `outbox`.
    func deliver(_ actions: [EngineAction], into outbox: inout EventOutbox) {
        guard !actions.isEmpty else { return }
        let deliveries = readers.withLock { readers in
            actions.compactMap { action in Self.take(action, from: &readers) }
        }
        for delivery in deliveries {
            outbox.put(delivery.event, unfinishedCount: delivery.unfinishedCount, for: delivery.sink)
        }
    }

    private static func take(
        _ action: EngineAction, from readers: inout [RequestID: Reader]
    ) -> (event: GenerationEvent, unfinishedCount: Int, sink: EventSink)? {
        guard var reader = readers[action.request] else { return nil }
        if case .finished(let choice, _, _, _) = action.event { reader.unfinished.remove(choice) }
        readers[action.request] = reader.unfinished.isEmpty ? nil : reader
        return (action.event, reader.unfinished.count, reader.sink)
    }

    /// Ends every open stream with an error, from any thread, and forgets it: what comes later is not delivered.
    func failAll(message: String) {
        let left = readers.withLock { readers in
            defer { readers = [:] }
            return Array(readers.values)
        }
        var outbox = EventOutbox()
        for reader in left {
            for (index, choice) in reader.unfinished.sorted().enumerated() {
                let event = GenerationEvent.finished(
                    choice: choice, reason: .error, stopToken: nil, message: message)
                outbox.put(event, unfinishedCount: reader.unfinished.count - index - 1, for: reader.sink)
            }
        }
        outbox.post()
    }
}
