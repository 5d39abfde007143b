import Hummingbird
import Logging
import MartletCore
import MartletEngine
import NIOCore

/// One answer on its way from the engine's events to the client's bytes.
struct AnswerRun: Sendable {
    private var answer: AnswerAssembler
    private var writer: any AnswerWriter
    private let includesUsage: Bool
    private let source: EventSource
    private let logger: Logger
    private let nextTurn: NextTurn?
    /// What the only choice has said, where `nextTurn` wants to know.
    private var said = ""
    /// By choice: the role chunk, or the echo, is out.
    private var isOpened: [Bool]
    /// By generation: the engine has been told that its text is over.
    private var isCancelled: [Bool]

    /// - Parameters:
    ///   - logger: gets the engine's own words when it gives a generation up.
    ///   - nextTurn: prefilled when the answer is whole.
    init(
        answer: AnswerAssembler, writer: any AnswerWriter, includesUsage: Bool, source: EventSource, logger: Logger,
        nextTurn: NextTurn? = nil
    ) {
        self.logger = logger
        self.nextTurn = nextTurn
        self.answer = answer
        self.writer = writer
        self.includesUsage = includesUsage
        self.source = source
        isOpened = [Bool](repeating: false, count: answer.choiceCount)
        isCancelled = [Bool](repeating: false, count: source.generationCount)
    }

    // MARK: - Whole

    /// Waits for every choice and gives the body. Stops the generations whatever happens.
    mutating func whole() async throws(APIError) -> [UInt8] {
        defer { source.stop() }
        var choices = (0..<answer.choiceCount).map { ChoiceDelta(index: $0) }
        for await item in source.items {
            guard case .event(let event, let generation) = item else { continue }
            if let delta = try take(event, generation: generation) { choices[delta.index].append(delta) }
            if answer.isFinished { return writer.body(choices, usage: answer.usage) }
        }
        throw .generationFailed("The request was abandoned.")
    }

    // MARK: - Streamed

    /// Waits until there is something to stream and gives the bytes it begins with. Throws what went wrong before.
    mutating func begin() async throws(APIError) -> [UInt8] {
        var isAdmitted = false
        for await item in source.items {
            switch item {
            case .event(.started, _):
                isAdmitted = true
                _ = try frames(item)
            case .event:
                return try frames(item)
            case .idle where isAdmitted: return ServerSentEvent.keepAlive
            case .idle, .gone: continue
            }
        }
        throw .generationFailed("The request was abandoned.")
    }

    /// Writes `first` and all that follows, to `[DONE]`. When the client is gone there is nothing left to say: the
    /// generations are stopped and the write's error goes up.
    mutating func stream(from first: [UInt8], to body: inout any ResponseBodyWriter) async throws {
        defer { source.stop() }
        if !first.isEmpty { try await body.write(ByteBuffer(bytes: first)) }
        if !answer.isFinished {
            do {
                for await item in source.items {
                    let bytes = try frames(item)
                    if !bytes.isEmpty { try await body.write(ByteBuffer(bytes: bytes)) }
                    if answer.isFinished { break }
                }
                if !answer.isFinished { throw APIError.generationFailed("The request was abandoned.") }
            } catch let error as APIError {
                try await body.write(ByteBuffer(bytes: ServerSentEvent.failure(error)))
                try await body.finish(nil)
                return
            }
        }
        var end = includesUsage ? writer.usageChunk(answer.usage) : []
        end += ServerSentEvent.done
        try await body.write(ByteBuffer(bytes: end))
        try await body.finish(nil)
    }

    /// What an item adds to the stream; nothing, for one that no client would see.
    private mutating func frames(_ item: EventSource.Item) throws(APIError) -> [UInt8] {
        switch item {
        case .idle: return ServerSentEvent.keepAlive
        case .gone: return []
        case .event(let event, let generation):
            guard let delta = try take(event, generation: generation) else { return [] }
            var bytes: [UInt8] = []
            if !isOpened[delta.index] {
                isOpened[delta.index] = true
                bytes = writer.opening(choice: delta.index, usage: answer.usage)
            }
            if !delta.isSilent { bytes += writer.chunk(delta, usage: answer.usage) }
            return bytes
        }
    }

    private mutating func take(_ event: GenerationEvent, generation: Int) throws(APIError) -> ChoiceDelta? {
        if case .finished(_, .error, _, let message) = event { logger.error("generation failed: \(message ?? "")") }
        let delta = try answer.take(event, generation: generation)
        if !isCancelled[generation], answer.isFinished(generation: generation) {
            // Maybe by a stop string, which the engine does not know of.
            isCancelled[generation] = true
            source.cancel(generation: generation)
        }
        if let nextTurn {
            said += delta?.content ?? ""
            if delta?.ending != nil { source.prefill(nextTurn, after: said, logger: logger) }
        }
        return delta
    }
}
