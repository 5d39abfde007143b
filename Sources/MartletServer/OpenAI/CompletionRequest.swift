import MartletCore

/// The body of `POST /v1/completions`, validated.
struct CompletionRequest: Sendable {
    enum Input: Sendable, Equatable {
        case text(String)
        case tokens([TokenID])
    }

    var model: String?
    var prompts: [Input]
    var options: GenerationOptions
    /// The prompt's text stands before each completion's.
    var echoes: Bool
    var addsSpecialTokens: Bool

    init(_ document: JSONValue, bounds: GenerationOptions.Bounds) throws(APIError) {
        guard let object = document.object else { throw .wrongType("", expected: "an object") }
        let reader = FieldReader(object)
        model = try reader.string("model")
        try RefusedFields.check(reader, RefusedFields.completion)
        var options = try GenerationOptions(reader, bounds: bounds)
        let limit = bounds.limits.topLogprobs
        options.sampling.logprobCount = try reader.integer("logprobs", in: 0...limit, rule: "in [0, \(limit)]")
        if let best = try reader.integer("best_of"), best != options.sampling.choiceCount {
            throw .notSupported("best_of", hint: "it must equal n")
        }
        // OpenAI's completions stop after 16 tokens unless told otherwise, and so do vLLM's.
        options.maxTokens = options.maxTokens ?? 16
        self.options = options
        echoes = try reader.bool("echo") ?? false
        if echoes, options.sampling.logprobCount != nil {
            throw .notSupported("echo", hint: "the prompt's log-probabilities are not computed; leave out `logprobs`")
        }
        addsSpecialTokens = try reader.bool("add_special_tokens") ?? true
        prompts = try Self.prompts(reader, bounds: bounds)
        // A stream fans out as (prompt, choice) pairs; the product is what must stay small.
        let fanOut = prompts.count * options.sampling.choiceCount
        guard fanOut <= bounds.limits.prompts else {
            throw .badRequest("prompts x n may be at most \(bounds.limits.prompts), got \(fanOut).", param: "prompt")
        }
    }

    /// A string, a list of token ids, or a list of either.
    private static func prompts(_ reader: FieldReader, bounds: GenerationOptions.Bounds) throws(APIError) -> [Input] {
        switch reader.value("prompt") {
        case nil: throw .missing("prompt")
        case .string(let text): return [.text(text)]
        case .array(let items):
            guard let first = items.first else { throw .promptEmpty }
            if first.number != nil { return [.tokens(try tokens(items, bounds: bounds))] }
            guard items.count <= bounds.limits.prompts else {
                throw .badRequest(
                    "prompt may hold at most \(bounds.limits.prompts) prompts, got \(items.count).", param: "prompt")
            }
            var prompts: [Input] = []
            for item in items {
                switch item {
                case .string(let text): prompts.append(.text(text))
                case .array(let ids): prompts.append(.tokens(try tokens(ids, bounds: bounds)))
                default: throw .wrongType("prompt", expected: "strings or arrays of token ids")
                }
            }
            return prompts
        default: throw .wrongType("prompt", expected: "a string, an array of token ids, or an array of these")
        }
    }

    private static func tokens(
        _ items: [JSONValue], bounds: GenerationOptions.Bounds
    ) throws(APIError) -> [TokenID] {
        var tokens: [TokenID] = []
        tokens.reserveCapacity(items.count)
        for item in items {
            tokens.append(try FieldReader.token(item, name: "prompt", vocabularySize: bounds.vocabularySize))
        }
        return tokens
    }
}
