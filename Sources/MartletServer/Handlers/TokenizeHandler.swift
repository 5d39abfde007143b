import Hummingbird
import MartletCore
import MartletText

/// `POST /tokenize` and `POST /detokenize`, in vLLM's shapes.
struct TokenizeHandler: Sendable {
    let environment: ServerEnvironment

    /// Of a `prompt`, or of `messages` as chat would send them (images as the placeholders they become).
    @Sendable func tokenize(_ exchange: Exchange) async throws(APIError) -> Response {
        let document = try await exchange.json(limit: environment.configuration.limits.bodyBytes)
        guard let object = document.object else { throw .wrongType("", expected: "an object") }
        let reader = FieldReader(object)
        let model = environment.model
        try model.check(try reader.string("model"))
        let tokens: [TokenID]
        if let prompt = try reader.string("prompt") {
            let addsSpecialTokens = try reader.bool("add_special_tokens") ?? true
            tokens = model.tokenizer.encode(prompt, addSpecialTokens: addsSpecialTokens)
        } else {
            guard reader.value("messages") != nil else { throw .missing("prompt") }
            let request = try ChatCompletionRequest(document, bounds: environment.bounds)
            tokens = try await environment.preparation.prepare(request, now: environment.now()).prompt.tokens
        }
        var writer = JSONWriter()
        writer.raw("{\"count\":\(tokens.count),\"max_model_len\":\(model.maxModelLength),\"tokens\":[")
        writer.raw(tokens.map(String.init).joined(separator: ","))
        writer.raw("],\"token_strs\":")
        if try reader.bool("return_token_strs") ?? false {
            writer.value(.array(tokens.map { .string(model.tokenizer.token($0) ?? "") }))
        } else {
            writer.raw("null")
        }
        writer.raw("}")
        return .json(writer.bytes)
    }

    @Sendable func detokenize(_ exchange: Exchange) async throws(APIError) -> Response {
        let document = try await exchange.json(limit: environment.configuration.limits.bodyBytes)
        guard let object = document.object else { throw .wrongType("", expected: "an object") }
        let reader = FieldReader(object)
        let model = environment.model
        try model.check(try reader.string("model"))
        let limit = environment.configuration.limits.bodyBytes
        guard let tokens = try reader.tokens("tokens", limit: limit, vocabularySize: model.vocabularySize) else {
            throw .missing("tokens")
        }
        let text = model.tokenizer.decode(tokens, skipSpecialTokens: false)
        return .json(.object(JSONObject([("prompt", .string(text))])))
    }
}
