import MartletCore

/// Writes chat completions: `chat.completion.chunk` events and the `chat.completion` body.
///
/// By hand, from a prefix made once a request: an encoder would cost forty times as much a token and drop the
/// `"finish_reason":null` that clients look for.
struct ChatAnswerWriter: AnswerWriter {
    private let chunkPrefix: [UInt8]
    private let bodyPrefix: [UInt8]
    private let chunkUsage: ChunkUsage
    private let hasLogprobs: Bool
    private let hasTokenIDs: Bool
    /// Whether thoughts stand apart; then both of their field names are written.
    private let hasReasoning: Bool

    init(identity: ResponseIdentity, options: GenerationOptions, hasReasoning: Bool) {
        chunkPrefix = Array("data: ".utf8) + identity.prefix(object: "chat.completion.chunk")
        bodyPrefix = identity.prefix(object: "chat.completion")
        chunkUsage = ChunkUsage(options)
        hasLogprobs = options.sampling.logprobCount != nil
        hasTokenIDs = options.returnsTokenIDs
        self.hasReasoning = hasReasoning
    }

    func opening(choice index: Int, usage: Usage) -> [UInt8] {
        chunk(index: index, logprobs: [], ending: nil, tokenIDs: nil, usage: usage) {
            $0.raw("\"role\":\"assistant\",\"content\":\"\"")
        }
    }

    func chunk(_ delta: ChoiceDelta, usage: Usage) -> [UInt8] {
        chunk(
            index: delta.index, logprobs: delta.logprobs, ending: delta.ending,
            tokenIDs: hasTokenIDs ? delta.tokenIDs : nil, usage: usage
        ) { writer in
            if !delta.reasoning.isEmpty {
                writer.raw("\"reasoning\":")
                writer.string(delta.reasoning)
                writer.raw(",\"reasoning_content\":")
                writer.string(delta.reasoning)
            }
            guard !delta.content.isEmpty || (delta.reasoning.isEmpty && delta.ending == nil) else { return }
            if !delta.reasoning.isEmpty { writer.raw(",") }
            writer.raw("\"content\":")
            writer.string(delta.content)
        }
    }

    private func chunk(
        index: Int, logprobs: [TokenRecord], ending: Ending?, tokenIDs: [TokenID]?, usage: Usage,
        delta: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        var writer = JSONWriter()
        writer.bytes = chunkPrefix
        writer.raw("\"choices\":[{\"index\":\(index),\"delta\":{")
        delta(&writer)
        writer.raw("},\"logprobs\":")
        if logprobs.isEmpty { writer.raw("null") } else { logprobs.writeChat(into: &writer) }
        writer.raw(",")
        if let ending { ending.write(into: &writer) } else { writer.raw("\"finish_reason\":null") }
        if let tokenIDs {
            writer.raw(",")
            writer.tokenIDs(tokenIDs)
        }
        writer.raw("}]")
        chunkUsage.write(usage, into: &writer)
        writer.raw("}\n\n")
        return writer.bytes
    }

    func usageChunk(_ usage: Usage) -> [UInt8] {
        var writer = JSONWriter()
        writer.bytes = chunkPrefix
        writer.raw("\"choices\":[],\"usage\":")
        usage.write(into: &writer)
        writer.raw("}\n\n")
        return writer.bytes
    }

    func body(_ choices: [ChoiceDelta], usage: Usage) -> [UInt8] {
        var writer = JSONWriter()
        writer.bytes = bodyPrefix
        writer.raw("\"choices\":[")
        for (index, choice) in choices.enumerated() {
            if index > 0 { writer.raw(",") }
            write(choice, into: &writer)
        }
        writer.raw("],\"usage\":")
        usage.write(into: &writer)
        writer.raw("}")
        return writer.bytes
    }

    private func write(_ choice: ChoiceDelta, into writer: inout JSONWriter) {
        writer.raw("{\"index\":\(choice.index),\"message\":{\"role\":\"assistant\",\"content\":")
        writer.string(choice.content)
        writer.raw(",\"refusal\":null")
        if hasReasoning {
            writer.raw(",\"reasoning\":")
            writer.string(choice.reasoning)
            writer.raw(",\"reasoning_content\":")
            writer.string(choice.reasoning)
        }
        writer.raw("},\"logprobs\":")
        if hasLogprobs { choice.logprobs.writeChat(into: &writer) } else { writer.raw("null") }
        writer.raw(",")
        if let ending = choice.ending { ending.write(into: &writer) } else { writer.raw("\"finish_reason\":null") }
        if hasTokenIDs {
            writer.raw(",")
            writer.tokenIDs(choice.tokenIDs)
        }
        writer.raw("}")
    }
}
