import MartletCore
import Synchronization

/// The requests whose answers somebody still reads. The engine's thread tells them what happens; when that thread is
/// stuck, whoever gives it up tells them that.
final class OpenStreams: Sendable {
    private struct Reader {
        let sink: EventSink
        let observer: (@Sendable (RequestMilestone) -> Void)?
        /// Choices that have not finished.
        var unfinished: Set<Int>
        var isPrefilled = false
    }

    private let readers = Mutex<[RequestID: Reader]>([:])

    func open(
        _ id: RequestID, sink: EventSink, choiceCount: Int, observer: (@Sendable (RequestMilestone) -> Void)?
    ) {
        readers.withLock { $0[id] = Reader(sink: sink, observer: observer, unfinished: Set(0..<choiceCount)) }
    }

    /// Notes `actions`, and puts what readers are to be told of them into `outbox`.
    func deliver(_ actions: [EngineAction], into outbox: inout EventOutbox) {
        for action in actions {
            guard let (reader, milestone) = readers.withLock({ Self.note(action, in: &$0) }) else { continue }
            outbox.put(action.event, unfinishedCount: reader.unfinished.count, for: reader.sink)
            if let milestone { reader.observer?(milestone) }
        }
    }

    /// The reader of `action` after it, and what it means to who counts requests; nil if nobody reads any more.
    private static func note(
        _ action: EngineAction, in readers: inout [RequestID: Reader]
    ) -> (reader: Reader, milestone: RequestMilestone?)? {
        guard let place = readers.index(forKey: action.request) else { return nil }
        switch action.event {
        case .started: break
        case .tokens:
            guard !readers.values[place].isPrefilled else { break }
            readers.values[place].isPrefilled = true
            return (readers.values[place], .prefilled)
        case .finished(let choice, _, _, _):
            readers.values[place].unfinished.remove(choice)
            if readers.values[place].unfinished.isEmpty { return (readers.remove(at: place).value, .ended) }
        }
        return (readers.values[place], nil)
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
        for reader in left { reader.observer?(.ended) }
    }
}
