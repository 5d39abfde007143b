import MartletCPU
import MartletCore
import MartletEngine
import MartletTensor

@testable import MartletModels

/// What one choice of a request became, to compare bit for bit.
struct Outcome: Equatable {
    var tokens: [SampledToken] = []
    var reason: FinishReason?
    var cachedTokens = 0

    /// Equal answers, however much of the prompt was found in the cache.
    static func == (left: Self, right: Self) -> Bool { left.tokens == right.tokens && left.reason == right.reason }
}

/// An engine over the tiny model while `body` runs.
struct EngineUnderTest {
    var threads = 1
    var blockCount = 256
    var maxBatchedTokens = 256
    var maxRunningSequences = 32
    var speculation: SpeculationConfiguration?
    /// Steps in flight (D3).
    var depth = 1

    /// `body` gets the engine and the backend that counts.
    func run<Result: Sendable>(
        _ body: @Sendable (Engine<DecoderRunner<RecordingBackend<CPUBackend>>>) async throws -> Result
    ) async throws -> Result {
        try await counting { engine, _ in try await body(engine) }
    }

    func counting<Result: Sendable>(
        _ body: @Sendable (Engine<DecoderRunner<RecordingBackend<CPUBackend>>>, WorkCounter) async throws -> Result
    ) async throws -> Result {
        let counter = WorkCounter()
        var model = try TinyModel()
        model.depth = depth
        let backend = RecordingBackend(try CPUBackend(threads: threads), counter: counter)
        let runner = try model.runner(backend, blockCount: blockCount, slotCount: maxRunningSequences)
        var configuration = EngineConfiguration()
        configuration.maxBatchedTokens = maxBatchedTokens
        configuration.maxRunningSequences = maxRunningSequences
        configuration.maxWaitingRequests = 512
        // Other tests' work may hold both cores for a minute.
        configuration.queueTimeoutSeconds = 3600
        configuration.speculation = speculation
        configuration.endTokens = model.configuration.endTokens
        let engine = Engine(configuration: configuration, runner: runner, seeds: SeedSource(seed: 1))
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await engine.run() }
            defer { group.cancelAll() }
            return try await body(engine, counter)
        }
    }
}

extension GenerationEngine {
    /// Runs a request to its end; one outcome a choice.
    func complete(_ request: GenerationRequest) async throws -> [Outcome] {
        var outcomes = [Outcome](repeating: Outcome(), count: request.sampling.choiceCount)
        for await event in try await submit(request).events {
            switch event {
            case .started(_, let cached): for index in outcomes.indices { outcomes[index].cachedTokens = cached }
            case .tokens(let choice, let tokens): outcomes[choice].tokens += tokens
            case .finished(let choice, let reason, _, _): outcomes[choice].reason = reason
            }
        }
        return outcomes
    }
}

/// Requests of every kind, drawn from a seed.
struct RequestDrawing {
    private var random: SeedSource
    private let images: [PreparedImage]

    init(seed: UInt64) throws {
        random = SeedSource(seed: seed)
        images = try TinyModel.images()
    }

    private mutating func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }

    /// `outputTokens`: how many to generate; nil draws up to 12, end of generation permitting.
    mutating func next(outputTokens: Int? = nil) -> GenerationRequest {
        var prompt = Prompt(tokens: [291, 293])
        // Many requests begin alike, so that some find a prefix.
        if below(2) == 0 { prompt.tokens += (0..<TokenID(32)).map { 10 + $0 } }
        for _ in 0..<below(3) {
            let image = images[below(2)]
            prompt.tokens.append(299)
            prompt.images.append(PlacedImage(image: image, offset: prompt.tokens.count))
            prompt.tokens += [TokenID](repeating: 303, count: image.tokenCount) + [300]
        }
        for _ in 0..<(1 + below(60)) { prompt.tokens.append(TokenID(below(256))) }
        var sampling = SamplingParameters()
        sampling.maxTokens = 1 + below(12)
        sampling.ignoresEndOfGeneration = below(2) == 0
        if let outputTokens { (sampling.maxTokens, sampling.ignoresEndOfGeneration) = (outputTokens, true) }
        sampling.temperature = [0, 0.7, 1.3][below(3)]
        sampling.topK = [0, 20][below(2)]
        sampling.topP = [1, 0.9][below(2)]
        sampling.minP = [0, 0.02][below(2)]
        sampling.frequencyPenalty = [0, 0.2][below(2)]
        sampling.presencePenalty = [0, 0.5][below(2)]
        sampling.repetitionPenalty = [1, 1.1][below(2)]
        sampling.seed = random.next()
        sampling.logprobCount = 3
        return GenerationRequest(prompt: prompt, sampling: sampling)
    }
}
