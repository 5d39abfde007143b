import MartletCore

/// What both generating endpoints read from a request: how tokens are chosen, when text stops, how it is sent.
struct GenerationOptions: Sendable, Equatable {
    /// `maxTokens` is filled in when the length of the prompt is known.
    var sampling = SamplingParameters()
    /// As asked; nil = the rest of the context.
    var maxTokens: Int?
    var stopStrings: [String] = []
    var includesStopString = false
    var skipsSpecialTokens = true
    var streams = false
    /// A last chunk with the usage and no choices.
    var includesUsage = false
    /// Every chunk carries the usage so far.
    var includesContinuousUsage = false
    var returnsTokenIDs = false
    /// Log-probabilities name tokens `token_id:N` instead of their text.
    var namesTokensByID = false
    var priority = 0
    var cacheSalt = ""
    /// A label of the client's for the `id` of the answer; never an identity inside the server.
    var label: String?
}

extension GenerationOptions {
    /// The numbers that the fields are checked against.
    struct Bounds {
        let limits: RequestLimits
        let defaults: GenerationDefaults
        let vocabularySize: Int
    }

    /// Throws an `APIError` that names the field.
    init(_ reader: FieldReader, bounds: Bounds) throws(APIError) {
        sampling = try Self.sampling(reader, bounds: bounds)
        try readStops(reader, bounds: bounds)
        try readStream(reader)
        maxTokens = try reader.integer("max_completion_tokens", in: 1...Int.max, rule: "at least 1")
        if maxTokens == nil { maxTokens = try reader.integer("max_tokens", in: 1...Int.max, rule: "at least 1") }
        maxTokens = maxTokens ?? bounds.defaults.maxTokens
        if let maxTokens, sampling.minTokens > maxTokens {
            throw .badRequest(
                "min_tokens must be at most max_tokens=\(maxTokens), got \(sampling.minTokens).", param: "min_tokens")
        }
        returnsTokenIDs = try reader.bool("return_token_ids") ?? false
        namesTokensByID = try reader.bool("return_tokens_as_token_ids") ?? false
        priority = try reader.integer("priority", in: Int(Int32.min)...Int(Int32.max), rule: "a 32-bit integer") ?? 0
        if let salt = try reader.string("cache_salt") {
            guard !salt.isEmpty, salt.utf8.count <= 256 else {
                throw .badRequest("cache_salt must be 1 to 256 bytes long.", param: "cache_salt")
            }
            cacheSalt = salt
        }
        if let text = try reader.string("request_id") {
            guard RequestLabel.isSane(text) else {
                throw .badRequest("request_id must be 1 to 64 of A-Z, a-z, 0-9, '-', '_' and '.'.", param: "request_id")
            }
            label = text
        }
        try Self.checkRemarks(reader)
    }

    private static func sampling(_ reader: FieldReader, bounds: Bounds) throws(APIError) -> SamplingParameters {
        var sampling = SamplingParameters()
        let defaults = bounds.defaults
        sampling.temperature =
            try reader.number("temperature", rule: "in [0, 2]") { $0 >= 0 && $0 <= 2 } ?? defaults.temperature
        sampling.topP = try reader.number("top_p", rule: "in (0, 1]") { $0 > 0 && $0 <= 1 } ?? defaults.topP
        sampling.minP = try reader.number("min_p", rule: "in [0, 1]") { $0 >= 0 && $0 <= 1 } ?? defaults.minP
        // A positive number below the smallest Float would switch the filter off.
        sampling.topP = max(sampling.topP, .leastNormalMagnitude)
        let topK = try reader.integer("top_k", in: -1...Int(Int32.max), rule: "0 (disable), or at least 1")
        sampling.topK = max(0, topK ?? defaults.topK)
        sampling.presencePenalty =
            try reader.number("presence_penalty", rule: "in [-2, 2]") { $0 >= -2 && $0 <= 2 } ?? 0
        sampling.frequencyPenalty =
            try reader.number("frequency_penalty", rule: "in [-2, 2]") { $0 >= -2 && $0 <= 2 } ?? 0
        sampling.repetitionPenalty =
            try reader.number("repetition_penalty", rule: "in [0.01, 100]") { $0 >= 0.01 && $0 <= 100 }
            ?? defaults.repetitionPenalty
        // vLLM's clients send -1 for "no seed".
        if let seed = try reader.integer("seed"), seed != -1 { sampling.seed = UInt64(bitPattern: Int64(seed)) }
        sampling.choiceCount =
            try reader.integer("n", in: 1...bounds.limits.choices, rule: "in [1, \(bounds.limits.choices)]") ?? 1
        if sampling.choiceCount > 1, sampling.temperature == 0 {
            throw .badRequest(
                "n must be 1 when using greedy sampling, got \(sampling.choiceCount).", param: "n")
        }
        sampling.minTokens = try reader.integer("min_tokens", in: 0...Int(Int32.max), rule: "at least 0") ?? 0
        sampling.ignoresEndOfGeneration = try reader.bool("ignore_eos") ?? false
        sampling.logitBias = try logitBias(reader, bounds: bounds)
        if let allowed = try reader.tokens(
            "allowed_token_ids", limit: bounds.vocabularySize, vocabularySize: bounds.vocabularySize)
        {
            guard !allowed.isEmpty else {
                throw .badRequest("allowed_token_ids must not be empty.", param: "allowed_token_ids")
            }
            sampling.allowedTokens = allowed
        }
        return sampling
    }

    private static func logitBias(_ reader: FieldReader, bounds: Bounds) throws(APIError) -> [TokenID: Float] {
        guard let object = try reader.object("logit_bias") else { return [:] }
        guard object.count <= bounds.limits.logitBiases else {
            throw .badRequest(
                "logit_bias may name at most \(bounds.limits.logitBiases) tokens, got \(object.count).",
                param: "logit_bias")
        }
        var biases: [TokenID: Float] = [:]
        for (key, value) in object.entries {
            guard let token = TokenID(key), token >= 0, Int(token) < bounds.vocabularySize else {
                throw .badRequest(
                    "logit_bias names token '\(APIError.quoted(key))', which is not in [0, \(bounds.vocabularySize)).",
                    param: "logit_bias")
            }
            guard let bias = value.number else { throw .wrongType("logit_bias", expected: "numbers") }
            guard bias >= -100, bias <= 100 else {
                throw .badRequest("logit_bias must be in [-100, 100], got \(bias).", param: "logit_bias")
            }
            biases[token] = Float(bias)
        }
        return biases
    }

    private mutating func readStops(_ reader: FieldReader, bounds: Bounds) throws(APIError) {
        let limits = bounds.limits
        switch reader.value("stop") {
        case nil: break
        case .string(let text): stopStrings = [text]
        case .array(let items):
            guard items.count <= limits.stopStrings else {
                throw .badRequest(
                    "stop may hold at most \(limits.stopStrings) strings, got \(items.count).", param: "stop")
            }
            for item in items {
                guard let text = item.string else { throw .wrongType("stop", expected: "strings") }
                stopStrings.append(text)
            }
        default: throw .wrongType("stop", expected: "a string or an array of strings")
        }
        guard stopStrings.allSatisfy({ !$0.isEmpty && $0.utf8.count <= limits.stopStringBytes }) else {
            throw .badRequest("stop strings must be 1 to \(limits.stopStringBytes) bytes long.", param: "stop")
        }
        sampling.stopTokens =
            try reader.tokens("stop_token_ids", limit: limits.stopTokens, vocabularySize: bounds.vocabularySize) ?? []
        includesStopString = try reader.bool("include_stop_str_in_output") ?? false
        skipsSpecialTokens = try reader.bool("skip_special_tokens") ?? true
    }

    private mutating func readStream(_ reader: FieldReader) throws(APIError) {
        streams = try reader.bool("stream") ?? false
        guard let options = try reader.object("stream_options") else { return }
        guard streams else { throw .streamOptionsWithoutStream }
        let inner = FieldReader(options, path: "stream_options.")
        includesUsage = try inner.bool("include_usage") ?? false
        includesContinuousUsage = try inner.bool("continuous_usage_stats") ?? false
        if try inner.bool("include_obfuscation") == true { throw .notSupported("stream_options.include_obfuscation") }
    }

    /// Fields that say something about the request and ask nothing of the answer: their types are checked.
    private static func checkRemarks(_ reader: FieldReader) throws(APIError) {
        for key in ["user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "session_id"] {
            _ = try reader.string(key)
        }
        _ = try reader.object("metadata")
        _ = try reader.bool("parallel_tool_calls")
    }
}
