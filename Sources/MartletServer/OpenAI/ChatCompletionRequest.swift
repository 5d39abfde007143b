import MartletCore

/// The body of `POST /v1/chat/completions`, validated: whatever is here is in range and will be carried out.
struct ChatCompletionRequest: Sendable {
    /// nil = the first served name.
    var model: String?
    var messages: [WireMessage]
    var options: GenerationOptions
    var addsGenerationPrompt: Bool
    var continuesFinalMessage: Bool
    var addsSpecialTokens: Bool
    /// Handed to the template; `enable_thinking` of the top level is among them.
    var templateArguments: JSONObject
    /// As asked, at the top level or in `chat_template_kwargs`.
    var enablesThinking: Bool?
    /// true = thoughts apart from the answer; false = dropped; nil = as the model writes (thoughts in `content`).
    var returnsReasoning: Bool?

    init(_ document: JSONValue, bounds: GenerationOptions.Bounds) throws(APIError) {
        guard let object = document.object else { throw .wrongType("", expected: "an object") }
        let reader = FieldReader(object)
        model = try reader.string("model")
        try RefusedFields.check(reader, RefusedFields.chat)
        options = try GenerationOptions(reader, bounds: bounds)
        options.sampling.logprobCount = try Self.logprobs(reader, limit: bounds.limits.topLogprobs)
        messages = try WireMessage.list(reader, limits: bounds.limits)
        continuesFinalMessage = try reader.bool("continue_final_message") ?? false
        addsGenerationPrompt = try reader.bool("add_generation_prompt") ?? !continuesFinalMessage
        if continuesFinalMessage, addsGenerationPrompt {
            throw .badRequest(
                "Cannot set both `continue_final_message` and `add_generation_prompt` to True.",
                param: "continue_final_message")
        }
        addsSpecialTokens = try reader.bool("add_special_tokens") ?? false
        templateArguments = try reader.object("chat_template_kwargs") ?? JSONObject()
        let kwargs = FieldReader(templateArguments, path: "chat_template_kwargs.")
        let asked = try reader.bool("enable_thinking")
        enablesThinking = try kwargs.bool("enable_thinking") ?? asked
        if try reader.string("reasoning_effort") == "none" { enablesThinking = enablesThinking ?? false }
        if let enablesThinking { templateArguments["enable_thinking"] = .bool(enablesThinking) }
        returnsReasoning = try reader.bool("return_reasoning")
        // vLLM's name for the same wish; only its "no" asks for anything, "yes" is its default.
        if try reader.bool("include_reasoning") == false, returnsReasoning == nil { returnsReasoning = false }
    }

    private static func logprobs(_ reader: FieldReader, limit: Int) throws(APIError) -> Int? {
        let wanted = try reader.bool("logprobs") ?? false
        let top = try reader.integer("top_logprobs", in: 0...limit, rule: "in [0, \(limit)]") ?? 0
        guard wanted || top == 0 else {
            throw .badRequest("when using `top_logprobs`, `logprobs` must be set to true.", param: "top_logprobs")
        }
        return wanted ? top : nil
    }
}
