import MartletCore

/// Writes `/v1/completions`: the same object, `text_completion`, for chunks and for the body.
struct CompletionAnswerWriter: AnswerWriter {
    private let prefix: [UInt8]
    private let chunkUsage: ChunkUsage
    private let hasLogprobs: Bool
    private let hasTokenIDs: Bool
    /// By choice index: the prompt's text where it is echoed, else nothing.
    private let echoes: [String]
    /// By choice index: Unicode scalars written so far.
    private var offsets: [Int]

    /// `echoes` holds one text a choice.
    init(identity: ResponseIdentity, options: GenerationOptions, echoes: [String]) {
        prefix = identity.prefix(object: "text_completion")
        chunkUsage = ChunkUsage(options)
        hasLogprobs = options.sampling.logprobCount != nil
        hasTokenIDs = options.returnsTokenIDs
        self.echoes = echoes
        offsets = echoes.map { $0.unicodeScalars.count }
    }

    /// The echo, if there is one: completions have no role to announce.
    mutating func opening(choice index: Int, usage: Usage) -> [UInt8] {
        guard !echoes[index].isEmpty else { return [] }
        return chunk(ChoiceDelta(index: index, content: echoes[index]), usage: usage)
    }

    mutating func chunk(_ delta: ChoiceDelta, usage: Usage) -> [UInt8] {
        var writer = JSONWriter()
        writer.raw("data: ")
        writer.bytes += prefix
        writer.raw("\"choices\":[")
        Self.write(
            delta, text: delta.content, hasLogprobs: !delta.logprobs.isEmpty, hasTokenIDs: hasTokenIDs,
            offset: &offsets[delta.index], into: &writer)
        writer.raw("]")
        chunkUsage.write(usage, into: &writer)
        writer.raw("}\n\n")
        return writer.bytes
    }

    func usageChunk(_ usage: Usage) -> [UInt8] {
        var writer = JSONWriter()
        writer.raw("data: ")
        writer.bytes += prefix
        writer.raw("\"choices\":[],\"usage\":")
        usage.write(into: &writer)
        writer.raw("}\n\n")
        return writer.bytes
    }

    func body(_ choices: [ChoiceDelta], usage: Usage) -> [UInt8] {
        var writer = JSONWriter()
        writer.bytes = prefix
        writer.raw("\"choices\":[")
        for (position, choice) in choices.enumerated() {
            if position > 0 { writer.raw(",") }
            let echo = echoes[choice.index]
            var offset = echo.unicodeScalars.count
            Self.write(
                choice, text: echo + choice.content, hasLogprobs: hasLogprobs, hasTokenIDs: hasTokenIDs,
                offset: &offset, into: &writer)
        }
        writer.raw("],\"usage\":")
        usage.write(into: &writer)
        writer.raw("}")
        return writer.bytes
    }

    private static func write(
        _ choice: ChoiceDelta, text: String, hasLogprobs: Bool, hasTokenIDs: Bool, offset: inout Int,
        into writer: inout JSONWriter
    ) {
        writer.raw("{\"index\":\(choice.index),\"text\":")
        writer.string(text)
        writer.raw(",\"logprobs\":")
        if hasLogprobs { choice.logprobs.writeCompletion(into: &writer, offset: &offset) } else { writer.raw("null") }
        writer.raw(",")
        if let ending = choice.ending {
            ending.write(into: &writer)
        } else {
            writer.raw("\"finish_reason\":null,\"stop_reason\":null")
        }
        if hasTokenIDs {
            writer.raw(",")
            writer.tokenIDs(choice.tokenIDs)
        }
        writer.raw("}")
    }
}
