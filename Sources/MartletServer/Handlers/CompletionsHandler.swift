import Hummingbird
import MartletCore
import MartletText

/// `POST /v1/completions`
struct CompletionsHandler: Sendable {
    let environment: ServerEnvironment

    @Sendable func respond(_ exchange: Exchange) async throws(APIError) -> Response {
        guard environment.readiness.phase != .draining else { throw .draining }
        let document = try await exchange.json(limit: environment.configuration.limits.bodyBytes)
        let request = try CompletionRequest(document, bounds: environment.bounds)
        let model = environment.model
        try model.check(request.model)
        var prompts: [PreparedPrompt] = []
        var echoes: [String] = []
        for input in request.prompts {
            let prepared = try environment.preparation.prepare(input, of: request)
            prompts.append(prepared)
            let echo = request.echoes ? Self.echo(input, prepared, model: model, options: request.options) : ""
            echoes += [String](repeating: echo, count: request.options.sampling.choiceCount)
        }
        let identity = ResponseIdentity(
            id: "cmpl-\(request.options.label ?? RequestLabel.random())", created: environment.now(), model: model.name)
        let writer = CompletionAnswerWriter(identity: identity, options: request.options, echoes: echoes)
        return try await AnswerHandler(environment: environment).respond(
            exchange, prompts: prompts, options: request.options, writer: writer)
    }

    private static func echo(
        _ input: CompletionRequest.Input, _ prepared: PreparedPrompt, model: ServedModel, options: GenerationOptions
    ) -> String {
        switch input {
        case .text(let text): text
        case .tokens(let tokens): model.tokenizer.decode(tokens, skipSpecialTokens: options.skipsSpecialTokens)
        }
    }
}
