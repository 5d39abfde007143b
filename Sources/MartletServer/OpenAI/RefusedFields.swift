import MartletCore

/// The fields that OpenAI or vLLM know and this server does not carry out. Each is refused by name, unless its value
/// asks for nothing (an empty list of tools, `false`, the default): never silently ignored (D17).
enum RefusedFields {
    /// A field, and whether a value of it asks for nothing.
    typealias Rule = (name: String, asksNothing: @Sendable (JSONValue) -> Bool)

    /// Throws for the first field of `reader` that asks for something we do not do.
    static func check(_ reader: FieldReader, _ rules: [Rule]) throws(APIError) {
        for rule in rules {
            guard let value = reader.value(rule.name), !rule.asksNothing(value) else { continue }
            throw .notSupported(reader.name(rule.name))
        }
    }

    /// Of every endpoint that generates.
    static let generation: [Rule] = [
        ("bad_words", isEmpty), ("truncate_prompt_tokens", never), ("prompt_logprobs", never),
        ("use_beam_search", isFalse), ("length_penalty", { $0.number == 1 }), ("kv_transfer_params", isEmpty),
        ("structured_outputs", never), ("logits_processors", isEmpty), ("vllm_xargs", isEmpty),
        ("guided_json", never), ("guided_regex", never), ("guided_choice", never), ("guided_grammar", never),
        ("guided_decoding_backend", never), ("guided_whitespace_pattern", never), ("structural_tag", never),
        ("spaces_between_special_tokens", { $0.bool == true }), ("thinking_token_budget", never),
        ("mm_processor_kwargs", isEmpty), ("media_io_kwargs", isEmpty), ("repetition_detection", never),
        ("response_format", { $0["type"]?.string == "text" && $0.object?.count == 1 }), ("suffix", isEmptyString),
        ("store", isFalse), ("service_tier", { ["auto", "default"].contains($0.string) }),
        ("separate_reasoning", never), ("stream_reasoning", never),
    ]

    static let chat: [Rule] = generation + [
        ("tools", isEmpty), ("tool_choice", { ["none", "auto"].contains($0.string) }), ("functions", isEmpty),
        ("function_call", { ["none", "auto"].contains($0.string) }), ("audio", never),
        ("modalities", { $0 == .array([.string("text")]) }), ("prediction", never), ("web_search_options", never),
        ("verbosity", never), ("reasoning_effort", { $0.string == "none" }), ("documents", isEmpty),
        ("chat_template", never), ("echo", isFalse), ("best_of", { $0.integer == 1 }),
        ("prompt_embeds", never),
    ]

    static let completion: [Rule] = generation + [
        ("prompt_embeds", never), ("tools", isEmpty), ("messages", never), ("top_logprobs", { $0.integer == 0 }),
    ]

    /// Of a chat message.
    static let message: [Rule] = [
        ("tool_calls", isEmpty), ("function_call", never), ("audio", never), ("tools", isEmpty),
    ]

    private static let never: @Sendable (JSONValue) -> Bool = { _ in false }
    private static let isFalse: @Sendable (JSONValue) -> Bool = { $0 == .bool(false) }
    private static let isEmptyString: @Sendable (JSONValue) -> Bool = { $0 == .string("") }
    private static let isEmpty: @Sendable (JSONValue) -> Bool = { $0.array?.isEmpty ?? ($0.object?.count == 0) }
}
