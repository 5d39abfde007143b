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

    /// An event, and what it means to who counts requests.
    private struct Delivery {
        let event: GenerationEvent
        let reader: Reader
        let milestones: [RequestMilestone]
    }

    private let readers = Mutex<[RequestID: Reader]>([:])

    func open(
        _ id: RequestID, sink: EventSink, choiceCount: Int, observer: (@Sendable (RequestMilestone) -> Void)?
    ) {
        readers.withLock { $0[id] = Reader(sink: sink, observer: observer, unfinished: Set(0..<choiceCount)) }
    }

    /// Notes `actions`, and puts what readers are to be told of them into `outbox`.
    func deliver(_ actions: [EngineAction], into outbox: inout EventOutbox) {
        guard !actions.isEmpty else { return }
        let deliveries = readers.withLock { readers in
            actions.compactMap { action in Self.take(action, from: &readers) }
        }
        for delivery in deliveries {
            let reader = delivery.reader
            outbox.put(delivery.event, unfinishedCount: reader.unfinished.count, for: reader.sink)
            for milestone in delivery.milestones { reader.observer?(milestone) }
        }
    }

    private static func take(_ action: EngineAction, from readers: inout [RequestID: Reader]) -> Delivery? {
        guard var reader = readers[action.request] else { return nil }
        var milestones: [RequestMilestone] = []
        switch action.event {
        case .started: break
        case .tokens:
            if !reader.isPrefilled { milestones = [.prefilled] }
            reader.isPrefilled = true
        case .finished(let choice, _, _, _):
            reader.unfinished.remove(choice)
            if reader.unfinished.isEmpty { milestones = [.ended] }
        }
        readers[action.request] = reader.unfinished.isEmpty ? nil : reader
        return Delivery(event: action.event, reader: reader, milestones: milestones)
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
