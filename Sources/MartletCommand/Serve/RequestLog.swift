import Logging
import MartletCore
import MartletEngine

/// An engine that writes a line about every request it is given (`--enable-log-requests`).
struct RequestLog: GenerationEngine {
    let engine: any GenerationEngine
    let logger: Logger
    /// Prompt tokens shown.
    let tokenLimit: Int

    func submit(_ request: GenerationRequest) async throws(EngineError) -> Generation {
        let generation = try await engine.submit(request)
        let tokens = request.prompt.tokens
        let sampling = request.sampling
        let shown = tokens.prefix(tokenLimit).map { "\($0)" }.joined(separator: ", ")
        logger.info(
            """
            Received request \(generation.id): prompt tokens: \(tokens.count), images: \(request.prompt.images.count), \
            params: SamplingParams(n=\(sampling.choiceCount), temperature=\(sampling.temperature), \
            top_p=\(sampling.topP), top_k=\(sampling.topK), max_tokens=\(sampling.maxTokens)), \
            prompt_token_ids: [\(shown)\(tokens.count > tokenLimit ? ", …" : "")]
            """)
        return generation
    }

    func prefillAhead(_ tokens: [TokenID], cacheSalt: String) async {
        await engine.prefillAhead(tokens, cacheSalt: cacheSalt)
    }

    func cancel(_ id: RequestID) async { await engine.cancel(id) }
    func statistics() async -> EngineStatistics { await engine.statistics() }
    func statisticsByEngine() async -> [EngineStatistics] { await engine.statisticsByEngine() }
    func drain(timeout: Duration) async { await engine.drain(timeout: timeout) }
    nonisolated func health() -> EngineHealth { engine.health() }
}
