import Logging
import MartletEngine
import Synchronization

/// The events of one answer's generations, in one stream with the ticks of its keep-alive timer and the news that the
/// client has gone. One consumer; the stream is bounded, and a consumer that lets it fill up has lost the request.
final class EventSource: Sendable {
    enum Item: Sendable, Equatable {
        case event(GenerationEvent, generation: Int)
        /// Nothing happened for a while.
        case idle
        /// The client is gone, or reads too slowly: nothing more is worth writing.
        case gone
    }

    static let capacity = 4096

    let items: AsyncStream<Item>
    private let continuation: AsyncStream<Item>.Continuation
    private let engine: any GenerationEngine
    private let generations: [Generation]
    private let eventCount = Atomic<UInt64>(0)
    private let endedCount = Atomic<Int>(0)
    private let tasks = Mutex<[Task<Void, Never>]>([])
    private let isStopped = Atomic<Bool>(false)

    var generationCount: Int { generations.count }

    /// - Parameters:
    ///   - executor: where events are passed on; nil = anywhere.
    ///   - keepAlive: time without events after which `idle` comes; nil = never.
    init(
        _ generations: [Generation], engine: any GenerationEngine, executor: EventLoopExecutor?, keepAlive: Duration?
    ) {
        self.engine = engine
        self.generations = generations
        (items, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.capacity))
        for (index, generation) in generations.enumerated() {
            start(on: executor) { source in
                for await event in generation.events { source.put(.event(event, generation: index)) }
                source.put(nil)
            }
        }
        if let keepAlive { start(on: executor) { await $0.tick(every: keepAlive) } }
    }

    private func start(
        on executor: EventLoopExecutor?, _ body: @escaping @Sendable (EventSource) async -> Void
    ) {
        let task = Task(executorPreference: executor) { [weak self] in
            if let self { await body(self) }
        }
        tasks.withLock { $0.append(task) }
    }

    /// nil = one generation's stream has ended.
    private func put(_ item: Item?) {
        guard let item else {
            if endedCount.add(1, ordering: .relaxed).newValue == generations.count { continuation.finish() }
            return
        }
        eventCount.add(1, ordering: .relaxed)
        if case .dropped = continuation.yield(item) { disconnect() }
    }

    private func tick(every interval: Duration) async {
        var seen = eventCount.load(ordering: .relaxed)
        while !Task.isCancelled {
            guard (try? await Task.sleep(for: interval)) != nil else { return }
            let now = eventCount.load(ordering: .relaxed)
            if now == seen { continuation.yield(.idle) }
            seen = now
        }
    }

    /// The client is gone: the engine is told at once, whoever is writing finds out next.
    func disconnect() {
        continuation.yield(.gone)
        continuation.finish()
        stop()
    }

    /// Ends the generations that still run; call when the answer is complete or given up. Idempotent.
    func stop() {
        guard !isStopped.exchange(true, ordering: .relaxed) else { return }
        tasks.withLock { tasks in
            for task in tasks { task.cancel() }
            tasks = []
        }
        let (engine, generations) = (engine, generations)
        Task { for generation in generations { await engine.cancel(generation.id) } }
    }

    /// The answer is whole, and `content` is what its client has read of it.
    func prefill(_ nextTurn: NextTurn, after content: String, logger: Logger) {
        let engine = engine
        Task {
            guard let tokens = nextTurn.tokens(after: content) else { return }
            logger.debug("prefilling the next turn: its first \(tokens.count - 1) tokens are known")
            await engine.prefillAhead(tokens, cacheSalt: nextTurn.cacheSalt)
        }
    }

    /// One generation has nothing left to say (all its choices ended by stop strings).
    func cancel(generation index: Int) {
        let (engine, id) = (engine, generations[index].id)
        Task { await engine.cancel(id) }
    }
}
