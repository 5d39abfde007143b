import Hummingbird
import MartletText

/// `POST /v1/chat/completions`
struct ChatCompletionsHandler: Sendable {
    let environment: ServerEnvironment

    @Sendable func respond(_ exchange: Exchange) async throws(APIError) -> Response {
        guard environment.readiness.phase != .draining else { throw .draining }
        let document = try await exchange.json(limit: environment.configuration.limits.bodyBytes)
        let request = try ChatCompletionRequest(document, bounds: environment.bounds)
        try environment.model.check(request.model)
        let now = environment.now()
        let preparation = environment.preparation
        let prepared = try await preparation.prepare(request, now: now)
        environment.metrics.note(prepared)
        let identity = ResponseIdentity(
            id: "chatcmpl-\(request.options.label ?? RequestLabel.random())", created: now,
            model: environment.model.name)
        let writer = ChatAnswerWriter(
            identity: identity, options: request.options,
            hasReasoning: preparation.reasoningMode(request) == .separate)
        return try await AnswerHandler(environment: environment).respond(
            exchange, prompts: [prepared], options: request.options, writer: writer,
            nextTurn: NextTurn(after: request, preparation: preparation, now: now))
    }
}
