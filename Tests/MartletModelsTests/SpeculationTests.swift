import MartletCore
import MartletEngine
import Testing

@testable import MartletModels

/// With guesses every request gets what it gets without, bit for bit: tokens, log-probabilities, ends.
@Suite struct SpeculationTests {
    /// Random requests of all kinds, at temperatures at which the tiny model repeats itself now and then.
    private func draw(_ count: Int, seed: UInt64, outputTokens: Int) throws -> [GenerationRequest] {
        var drawing = try RequestDrawing(seed: seed)
        return (0..<count).map { index in
            var request = drawing.next(outputTokens: outputTokens)
            request.sampling.temperature = [0, 0.05, 0.3, 1][index % 4]
            // A penalty drives repetition out, and with it what is tested: only some requests have any.
            guard index % 3 > 0 else { return request }
            request.sampling.frequencyPenalty = 0
            request.sampling.presencePenalty = 0
            request.sampling.repetitionPenalty = 1
            request.sampling.ignoresEndOfGeneration = index % 2 == 0
            request.sampling.minTokens = index % 5
            return request
        }
    }

    private func outcomes(
        _ requests: [GenerationRequest], _ engine: EngineUnderTest
    ) async throws -> (outcomes: [[Outcome]], statistics: EngineStatistics) {
        try await engine.run { engine in
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

    private func speculating(_ tokenCount: Int, _ matches: ClosedRange<Int> = 1...3) -> SpeculationConfiguration {
        SpeculationConfiguration(
            tokenCount: tokenCount, shortestMatch: matches.lowerBound, longestMatch: matches.upperBound,
            largestBatch: 99)
    }

    @Test(arguments: [1, 2, 4, 7]) func tokensAreThoseWithout(tokenCount: Int) async throws {
        let requests = try draw(24, seed: UInt64(tokenCount), outputTokens: 40)
        let plain = try await outcomes(requests, EngineUnderTest())
        let guessing = try await outcomes(requests, EngineUnderTest(speculation: speculating(tokenCount)))
        #expect(guessing.outcomes == plain.outcomes)
        let speculation = try #require(guessing.statistics.speculation)
        #expect(speculation.acceptedTokens > 50, "\(speculation)")
        #expect(speculation.guessedTokens > speculation.acceptedTokens + 50, "\(speculation)")
    }

    @Test(arguments: [1, 7, 33]) func chunksBetweenChangeNothing(chunk: Int) async throws {
        let requests = try draw(12, seed: 3, outputTokens: 24)
        let plain = try await outcomes(requests, EngineUnderTest())
        let guessing = try await outcomes(
            requests,
            EngineUnderTest(
                maxBatchedTokens: chunk, maxRunningSequences: min(chunk, 6), speculation: speculating(4)))
        #expect(guessing.outcomes == plain.outcomes)
        #expect(guessing.statistics.speculation.map { $0.guessedTokens > 0 } == true)
    }

    @Test func preemptionBetweenChangesNothing() async throws {
        let requests = try draw(8, seed: 5, outputTokens: 90)
        let plain = try await outcomes(requests, EngineUnderTest())
        let crowded = try await outcomes(requests, EngineUnderTest(blockCount: 24, speculation: speculating(5)))
        #expect(crowded.outcomes == plain.outcomes)
        #expect(crowded.statistics.preemptions > 0)
        #expect(crowded.statistics.speculation.map { $0.acceptedTokens > 20 } == true)
    }

    /// Where penalties apply, a row counts the guesses before it.
    @Test func penaltiesCountTheGuesses() async throws {
        var requests = try draw(12, seed: 9, outputTokens: 40)
        for index in requests.indices {
            requests[index].sampling.temperature = 0
            requests[index].sampling.frequencyPenalty = [0, -0.3, 0.02][index % 3]
            requests[index].sampling.presencePenalty = [0, 0, -0.5][index % 3]
            requests[index].sampling.repetitionPenalty = [0.9, 1, 1][index % 3]
        }
        let plain = try await outcomes(requests, EngineUnderTest())
        let guessing = try await outcomes(requests, EngineUnderTest(speculation: speculating(4)))
        #expect(guessing.outcomes == plain.outcomes)
        #expect(guessing.statistics.speculation.map { $0.acceptedTokens > 20 } == true)
    }

    /// A prompt of one token repeated: every row guesses, and the context ends among guesses.
    @Test func aHistoryOfOneTokenIsNoTrap() async throws {
        var request = GenerationRequest(
            prompt: Prompt(tokens: [TokenID](repeating: 65, count: 470)), sampling: SamplingParameters())
        request.sampling.temperature = 0
        request.sampling.maxTokens = 4000
        request.sampling.ignoresEndOfGeneration = true
        // Nothing but that token, so that every guess is right.
        request.sampling.logitBias = [65: 1000]
        let plain = try await outcomes([request], EngineUnderTest())
        let guessing = try await outcomes([request], EngineUnderTest(speculation: speculating(7)))
        #expect(guessing.outcomes == plain.outcomes && guessing.outcomes[0][0].tokens.count == 42)
        #expect(guessing.statistics.steps < plain.statistics.steps / 3)
    }

    @Test func choicesGuessEachForItself() async throws {
        var request = GenerationRequest(prompt: try TinyModel.prompt(), sampling: SamplingParameters())
        request.sampling.choiceCount = 4
        request.sampling.maxTokens = 40
        request.sampling.temperature = 0.4
        request.sampling.seed = 11
        let plain = try await outcomes([request], EngineUnderTest())
        let guessing = try await outcomes([request], EngineUnderTest(speculation: speculating(4)))
        #expect(guessing.outcomes == plain.outcomes)
        #expect(Set(guessing.outcomes[0].map { $0.tokens.map(\.token) }).count > 1)
        #expect(guessing.statistics.speculation.map { $0.guessedTokens > 10 } == true)
    }
}
