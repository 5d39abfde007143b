import HTTPTypes
import Hummingbird
import Logging
import MartletCore
import MartletEngine
import NIOCore

/// Runs the generations of a request and writes their answer, whole or as a stream: what chat and completions share.
struct AnswerHandler: Sendable {
    let environment: ServerEnvironment

    /// Submits `prompts` and answers with what comes back; when the answer is whole, `nextTurn` is prefilled.
    ///
    /// The head of a stream goes out with the first token, or with the first keep-alive after admission (D15): until
    /// then everything that goes wrong is a proper status, and a proxy may retry.
    func respond(
        _ exchange: Exchange, prompts: [PreparedPrompt], options: GenerationOptions, writer: any AnswerWriter,
        nextTurn: NextTurn? = nil
    ) async throws(APIError) -> Response {
        let answer = AnswerAssembler(
            prompts.map { prompt in
                let plan = ChoiceAssembler.Plan(
                    tokenizer: environment.model.tokenizer, options: options, assembly: prompt.assembly)
                return (plan, prompt.prompt.tokens.count, prompt.imageTokenCount)
            }, choicesPerGeneration: options.sampling.choiceCount)
        let executor = exchange.context.executor
        let source = try await submit(prompts, options: options, executor: executor)
        let includesUsage = options.includesUsage || environment.configuration.forcesUsage
        var logger = environment.logger
        logger[metadataKey: "request"] = "\(exchange.id)"
        var run = AnswerRun(
            answer: answer, writer: writer, includesUsage: includesUsage, source: source, logger: logger,
            nextTurn: nextTurn)
        let watch = await exchange.context.wasActive ? exchange.context.connectionWatch() : nil
        if exchange.context.wasActive, watch == nil { source.disconnect() }
        watch?.begin { source.disconnect() }
        do throws(APIError) {
            guard options.streams else {
                defer { watch?.end() }
                let body = try await run.whole()
                return decorated(.json(body), prompts)
            }
            let first = try await run.begin()
            let ready = run
            return decorated(
                .events { writer in
                    defer { watch?.end() }
                    try await withTaskExecutorPreference(executor) {
                        var run = ready
                        try await run.stream(from: first, to: &writer)
                    }
                }, prompts)
        } catch {
            watch?.end()
            source.stop()
            throw error
        }
    }

    /// All or none.
    private func submit(
        _ prompts: [PreparedPrompt], options: GenerationOptions, executor: EventLoopExecutor?
    ) async throws(APIError) -> EventSource {
        var generations: [Generation] = []
        do throws(EngineError) {
            for prepared in prompts {
                var request = request(prepared, options: options)
                request.route = executor
                let generation = try await environment.engine.submit(request)
                generations.append(generation)
                environment.metrics.note(request.sampling, engine: generation.id.engine)
            }
        } catch {
            for generation in generations { await environment.engine.cancel(generation.id) }
            throw APIError(error)
        }
        let keepAlive = options.streams ? environment.configuration.keepAliveSeconds : nil
        return EventSource(
            generations, engine: environment.engine, executor: executor,
            keepAlive: keepAlive.map { .milliseconds(Int64($0 * 1000)) })
    }

    /// `max_tokens` beyond the context is clamped, not refused: Open-AutoGLM sends 3000 whatever the context is.
    private func request(_ prepared: PreparedPrompt, options: GenerationOptions) -> GenerationRequest {
        var sampling = options.sampling
        let rest = environment.model.maxModelLength - prepared.prompt.tokens.count
        sampling.maxTokens = max(1, min(options.maxTokens ?? rest, rest))
        sampling.minTokens = min(sampling.minTokens, sampling.maxTokens)
        var request = GenerationRequest(prompt: prepared.prompt, sampling: sampling)
        request.priority = options.priority
        request.cacheSalt = options.cacheSalt
        return request
    }

    private func decorated(_ response: Response, _ prompts: [PreparedPrompt]) -> Response {
        var response = response
        let notes = prompts.flatMap(\.fits)
        if !notes.isEmpty { response.headers[.imageFit] = notes.map(\.text).joined(separator: ", ") }
        return response
    }
}
