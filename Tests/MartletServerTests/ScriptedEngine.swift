import MartletCore
import MartletEngine
import MartletText
import Synchronization

/// An engine that plays a script: no scheduler, no model, no time of its own.
final class ScriptedEngine: GenerationEngine {
    enum Act: Sendable {
        case event(GenerationEvent)
        case wait(Duration)
        /// Until the request is cancelled.
        case hang
    }

    typealias Script = @Sendable (GenerationRequest) throws(EngineError) -> [Act]

    private struct State {
        var requests: [GenerationRequest] = []
        var ahead: [(tokens: [TokenID], cacheSalt: String)] = []
        var cancelled: Set<RequestID> = []
        var playing: [RequestID: Task<Void, Never>] = [:]
        var statistics = [EngineStatistics()]
        var health = EngineHealth.alive
        var drainCount = 0
    }

    private let state = Mutex(State())
    private let script: Script

    init(_ script: @escaping Script) { self.script = script }

    /// Says these tokens, one event each, then stops; byte tokens, so a text's UTF-8.
    convenience init(saying text: String, cached: Int = 0, stopToken: TokenID? = TestModel.endOfText) {
        self.init { request throws(EngineError) in
            Self.talk(text, request: request, cached: cached, stopToken: stopToken)
        }
    }

    static func talk(
        _ text: String, request: GenerationRequest, cached: Int = 0, stopToken: TokenID? = TestModel.endOfText
    ) -> [Act] {
        var acts: [Act] = [.event(.started(promptTokens: request.prompt.tokens.count, cachedTokens: cached))]
        for token in TestModel.tokenizer.encode(text, addSpecialTokens: false) {
            acts.append(.event(.tokens(choice: 0, [SampledToken(token: token)])))
        }
        let reason: FinishReason = stopToken == nil ? .length : .stop
        acts.append(.event(.finished(choice: 0, reason: reason, stopToken: stopToken, message: nil)))
        return acts
    }

    var requests: [GenerationRequest] { state.withLock { $0.requests } }
    var cancelled: Set<RequestID> { state.withLock { $0.cancelled } }
    var ahead: [(tokens: [TokenID], cacheSalt: String)] { state.withLock { $0.ahead } }
    var drainCount: Int { state.withLock { $0.drainCount } }
    func set(_ health: EngineHealth) { state.withLock { $0.health = health } }
    /// One for each engine of a group.
    func set(_ statistics: EngineStatistics...) { state.withLock { $0.statistics = statistics } }

    /// Waits up to a minute for `count` cancelled requests.
    func sawCancels(_ count: Int) async -> Bool {
        for _ in 0..<6000 {
            if cancelled.count >= count { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    func submit(_ request: GenerationRequest) async throws(EngineError) -> Generation {
        let acts = try script(request)
        let (events, continuation) = AsyncStream.makeStream(of: GenerationEvent.self)
        let id = state.withLock { state in
            state.requests.append(request)
            return RequestID(value: UInt64(state.requests.count))
        }
        let task = Task {
            for act in acts {
                guard !Task.isCancelled else { break }
                switch act {
                case .event(let event): continuation.yield(event)
                case .wait(let duration): try? await Task.sleep(for: duration)
                case .hang: try? await Task.sleep(for: .seconds(3600))
                }
            }
            continuation.finish()
        }
        state.withLock { $0.playing[id] = task }
        continuation.onTermination = { [weak self] reason in
            if case .cancelled = reason { Task { await self?.cancel(id) } }
        }
        return Generation(id: id, events: events)
    }

    func prefillAhead(_ tokens: [TokenID], cacheSalt: String) async {
        state.withLock { $0.ahead.append((tokens, cacheSalt)) }
    }

    func cancel(_ id: RequestID) async {
        state.withLock { state in
            state.cancelled.insert(id)
            state.playing[id]?.cancel()
        }
    }

    func statistics() async -> EngineStatistics { EngineStatistics(total: await statisticsByEngine()) }
    func statisticsByEngine() async -> [EngineStatistics] { state.withLock { $0.statistics } }

    func drain(timeout: Duration) async {
        state.withLock { $0.drainCount += 1 }
        let tasks = state.withLock { Array($0.playing.values) }
        let deadline = Task {
            try? await Task.sleep(for: timeout)
            for task in tasks { task.cancel() }
        }
        for task in tasks { await task.value }
        deadline.cancel()
    }

    func health() -> EngineHealth { state.withLock { $0.health } }
}
