import MartletCore

/// Given by the engine, never by a client.
package struct RequestID: Hashable, Sendable, CustomStringConvertible {
    package let value: UInt64
    package init(value: UInt64) { self.value = value }

    /// The `number`-th of engine `engine` of a group: no two engines give the same.
    package init(engine: Int, number: UInt64) { value = UInt64(engine) << 48 | number }
    package var engine: Int { Int(value >> 48) }

    package var description: String { "\(value)" }
}

/// What the engine is asked for.
package struct GenerationRequest: Sendable {
    package var prompt: Prompt
    package var sampling: SamplingParameters
    /// Lower goes first under the priority policy.
    package var priority = 0
    /// Separates prefix-cache entries of tenants that must not see each other's timing.
    package var cacheSalt = ""
    /// Where its events are read; nil = anywhere, each wakes its reader.
    package var route: (any EventRoute)?
    /// Keys of the prompt's first full blocks, in the engine's size, where they are known already.
    package var blockKeys: [BlockKey] = []
    /// Called as it goes on, never for long; the last time with `.ended`.
    package var observer: (@Sendable (RequestMilestone) -> Void)?

    package init(prompt: Prompt, sampling: SamplingParameters) {
        self.prompt = prompt
        self.sampling = sampling
    }
}

/// What whoever shares requests out over engines counts by. Every request that was taken ends once.
package enum RequestMilestone: Sendable {
    /// Its first token is there.
    case prefilled
    case ended
}

/// What comes back, in order: one `started`, then for each choice `tokens`… and one `finished`.
package enum GenerationEvent: Sendable, Equatable {
    /// Admitted: the first step that works on it has been planned.
    case started(promptTokens: Int, cachedTokens: Int)
    /// At most one a step and choice.
    case tokens(choice: Int, [SampledToken])
    /// `stopToken` is the token that ended it, if one did; it is not among `tokens`.
    case finished(choice: Int, reason: FinishReason, stopToken: TokenID?, message: String?)
}

/// A request that was accepted. Dropping the stream cancels the request.
package struct Generation: Sendable {
    package let id: RequestID
    package let events: AsyncStream<GenerationEvent>

    package init(id: RequestID, events: AsyncStream<GenerationEvent>) {
        self.id = id
        self.events = events
    }
}

/// The engine as the server sees it; a scripted one in the server's tests.
package protocol GenerationEngine: Sendable {
    /// Throws `EngineError` at once when the request cannot be taken.
    func submit(_ request: GenerationRequest) async throws(EngineError) -> Generation
    /// Computes the blocks that a request beginning with `tokens` would find, while there is nothing better to do:
    /// nothing is sampled, nobody is told, no request is kept waiting, and it may be given up at any time.
    func prefillAhead(_ tokens: [TokenID], cacheSalt: String) async
    /// Unknown ids are ignored: the request may just have ended.
    func cancel(_ id: RequestID) async
    /// Of all engines together.
    func statistics() async -> EngineStatistics
    /// Of each engine.
    func statisticsByEngine() async -> [EngineStatistics]
    /// From now on `submit` throws `.draining`; returns when nothing runs or after `timeout`, when what still runs is
    /// ended with an error.
    func drain(timeout: Duration) async
    /// Steps move, or there is nothing to do (D4). Never waits for the engine's thread.
    nonisolated func health() -> EngineHealth
}

extension GenerationEngine {
    package func statisticsByEngine() async -> [EngineStatistics] { [await statistics()] }
}

package enum EngineHealth: Sendable, Equatable {
    case alive
    /// No tick for this long while work is there: worth a line in the log,
    case silent(seconds: Double)
    /// a restart from outside,
    case stalled(seconds: Double)
    /// or the end of the process (`SilenceLimits`).
    case lost(seconds: Double)
    /// The loop ended.
    case dead(reason: String)
}

/// Why a request is not taken.
package enum EngineError: Error, Equatable {
    /// Prompt alone fills or exceeds the context.
    case promptTooLong(tokens: Int, limit: Int)
    case promptEmpty
    /// A token id outside the vocabulary.
    case invalidToken(TokenID)
    /// More image tokens than the encoder cache can ever hold.
    case imageTooLarge(tokens: Int, limit: Int)
    /// The KV cache could never hold it, even alone.
    case exceedsCache(tokens: Int, limit: Int)
    /// Waiting requests or tokens at their limit.
    case queueFull
    case draining
    case dead(reason: String)
}
