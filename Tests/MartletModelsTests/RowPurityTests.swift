import MartletCore
import MartletEngine
import Testing

@testable import MartletModels

/// D5: the same request gives the same tokens and log-probabilities, bit for bit, whatever runs beside it.
@Suite struct RowPurityTests {
    static let count = 32

    private func draw(_ count: Int, outputTokens: Int? = nil) throws -> [GenerationRequest] {
        var drawing = try RequestDrawing(seed: 7)
        return (0..<count).map { _ in drawing.next(outputTokens: outputTokens) }
    }

    /// Each request by itself, in an engine that has seen nothing.
    private func alone(_ requests: [GenerationRequest]) async throws -> [[Outcome]] {
        var outcomes: [[Outcome]] = []
        for request in requests {
            outcomes.append(try await EngineUnderTest().run { try await $0.complete(request) })
        }
        return outcomes
    }

    /// All at once.
    private func together(
        _ requests: [GenerationRequest], _ engine: EngineUnderTest
    ) async throws -> (outcomes: [[Outcome]], statistics: EngineStatistics) {
        return try await engine.run { engine in
            let outcomes = try await withThrowingTaskGroup(of: (Int, [Outcome]).self) { group in
                for (index, request) in requests.enumerated() {
                    group.addTask { (index, try await engine.complete(request)) }
                }
                var outcomes = [[Outcome]](repeating: [], count: requests.count)
                for try await (index, outcome) in group { outcomes[index] = outcome }
                return outcomes
            }
            return (outcomes, await engine.statistics())
        }
    }

    @Test func aRequestDoesNotSeeItsCompany() async throws {
        let requests = try draw(Self.count)
        let alone = try await alone(requests)
        #expect(
            Set(alone.map { $0[0].tokens.map(\.token) }).count > Self.count / 2, "the requests say different things")

        let batch = try await together(requests, EngineUnderTest())
        #expect(batch.outcomes == alone, "among 31 others")
        #expect(batch.statistics.prefixHitTokens > 0, "some found a prefix")
        for chunk in [1, 7, 16] {
            let chunked = try await together(
                requests, EngineUnderTest(maxBatchedTokens: chunk, maxRunningSequences: min(chunk, 32)))
            #expect(chunked.outcomes == alone, "steps of \(chunk) rows")
        }
        let threaded = try await together(requests, EngineUnderTest(threads: 2))
        #expect(threaded.outcomes == alone, "two threads")
    }

    @Test func preemptionLeavesNoTrace() async throws {
        let requests = try draw(8, outputTokens: 90), alone = try await alone(requests)
        let crowded = try await together(requests, EngineUnderTest(blockCount: 24))
        #expect(crowded.outcomes == alone)
        #expect(crowded.statistics.preemptions > 0)
    }

    @Test(arguments: [1, 7, 16, 256]) func greedyTokensOfTheGoldenPrompt(chunk: Int) async throws {
        var sampling = SamplingParameters()
        sampling.temperature = 0
        sampling.maxTokens = 8
        sampling.ignoresEndOfGeneration = true
        let request = GenerationRequest(prompt: try TinyModel.prompt(), sampling: sampling)
        try await EngineUnderTest(maxBatchedTokens: chunk, maxRunningSequences: 1).run { engine in
            for cached in [0, 32] {
                let outcome = try await engine.complete(request)[0]
                #expect(outcome.tokens.map(\.token) == [130, 262, 130, 262, 130, 262, 289, 173])
                #expect(outcome.cachedTokens == cached)
            }
        }
    }

    @Test func choicesAreIndependentAndRepeatable() async throws {
        var sampling = SamplingParameters()
        sampling.choiceCount = 4
        sampling.maxTokens = 10
        sampling.seed = 5
        let request = GenerationRequest(prompt: try TinyModel.prompt(), sampling: sampling)
        let first = try await EngineUnderTest().run { try await $0.complete(request) }
        let second = try await EngineUnderTest(threads: 2, maxBatchedTokens: 16, maxRunningSequences: 4).run {
            try await $0.complete(request)
        }
        #expect(first == second)
        #expect(Set(first.map { $0.tokens.map(\.token) }).count == 4)
    }
}
