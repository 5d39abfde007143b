import MartletCPU
import MartletCore
import MartletEngine
import Testing

@testable import MartletModels

/// Two steps in flight (D3): a step begins with tokens that the one before is still choosing.
@Suite struct LookaheadTests {
    private func outcomes(
        _ requests: [GenerationRequest], depth: Int, blockCount: Int = 256,
        speculation: SpeculationConfiguration? = nil
    ) async throws -> (outcomes: [[Outcome]], unreadChoices: Int, statistics: EngineStatistics) {
        let engine = EngineUnderTest(
            blockCount: blockCount, maxBatchedTokens: 64, speculation: speculation, depth: depth)
        return try await engine.counting { engine, counter in
            let outcomes = try await engine.completeTogether(requests)
            return (outcomes, counter.unreadChoices, await engine.statistics())
        }
    }

    /// Requests of every kind, penalties and ends of generation among them: bit for bit what one step at a time brings.
    @Test func tokensAreThoseOfOneStepAtATime() async throws {
        var drawing = try RequestDrawing(seed: 1)
        let requests = (0..<64).map { _ in drawing.next() }
        let one = try await outcomes(requests, depth: 1), two = try await outcomes(requests, depth: 2)
        #expect(one.unreadChoices == 1 && two.unreadChoices == 2)
        #expect(two.outcomes == one.outcomes)
        #expect(Set(one.outcomes.map { $0[0].reason }).count > 1, "all ended alike")
    }

    /// Blocks go from one to another while a step is under way.
    @Test func tooFewBlocksChangeNothing() async throws {
        var drawing = try RequestDrawing(seed: 4)
        let requests = (0..<24).map { _ in drawing.next(outputTokens: 40) }
        let one = try await outcomes(requests, depth: 1), two = try await outcomes(requests, depth: 2, blockCount: 24)
        #expect(two.outcomes == one.outcomes)
        #expect(two.statistics.preemptions > 0)
        #expect(two.statistics.usedBlockCount == 0 && two.statistics.integrityFailures == 0)
    }

    /// Ranks that share layers go ahead together.
    @Test func ranksGoAheadTogether() async throws {
        var drawing = try RequestDrawing(seed: 7), model = try TinyModel()
        let requests = (0..<12).map { _ in drawing.next() }
        let one = try await RankedModel(model, tensor: 2).serve { try await $0.completeTogether(requests) }
        model.depth = 2
        let two = try await RankedModel(model, tensor: 2).serve { try await $0.completeTogether(requests) }
        #expect(two == one)
    }

    /// A sequence that guesses waits for its tokens, and others beside it do not.
    @Test func guessesChangeNothing() async throws {
        var drawing = try RequestDrawing(seed: 5)
        let requests = (0..<12).map { _ in
            var request = drawing.next(outputTokens: 40)
            request.sampling.temperature = 0
            return request
        }
        let speculation = SpeculationConfiguration(
            tokenCount: 3, shortestMatch: 1, longestMatch: 3, largestBatch: 99)
        let one = try await outcomes(requests, depth: 1)
        let two = try await outcomes(requests, depth: 2, speculation: speculation)
        #expect(two.outcomes == one.outcomes)
        #expect((two.statistics.speculation?.acceptedTokens ?? 0) > 10)
    }

    // MARK: The runner

    private func runner(
        sampling: SamplingParameters = SamplingParameters(), stopTokens: [TokenID] = []
    ) throws -> (DecoderRunner<CPUBackend>, StepPlan) {
        var model = try TinyModel()
        model.depth = 2
        let runner = try model.runner(CPUBackend(threads: 1))
        var plan = StepPlan(index: 0)
        let tokens = TinyModel.textTokens
        plan.admissions = [
            SlotAdmission(
                slot: 3, tokens: tokens, promptCount: tokens.count, cachedCount: 0, images: [], sampling: sampling,
                seed: 1, choice: 0, stopTokens: stopTokens)
        ]
        plan.blockAppends = [BlockAppend(slot: 3, blocks: [5, 6])]
        plan.chunks = [PrefillChunk(slot: 3, range: 0..<tokens.count, samples: true)]
        return (runner, plan)
    }

    private func decode(_ index: UInt64, guesses: [TokenID] = []) -> StepPlan {
        var plan = StepPlan(index: index)
        plan.decodes = [SlotDecode(slot: 3, guesses: guesses)]
        return plan
    }

    @Test func stepsAreLaunchedBeforeTheirTokensAreRead() throws {
        var sampling = SamplingParameters()
        sampling.temperature = 0
        sampling.repetitionPenalty = 1.3
        let (reader, start) = try runner(sampling: sampling), (lookahead, _) = try runner(sampling: sampling)
        let plans = [start] + (1...8).map { decode($0) }
        let read = try plans.map { try reader.collect(reader.launch($0)) }
        var ahead: [StepResult] = [], ticket = try lookahead.launch(plans[0])
        for plan in plans.dropFirst() {
            let next = try lookahead.launch(plan)
            ahead.append(try lookahead.collect(ticket))
            ticket = next
        }
        ahead.append(try lookahead.collect(ticket))
        #expect(ahead == read)
    }

    /// No step takes two tokens for granted, nor guesses behind one.
    @Test func noFurtherAhead() throws {
        let (runner, start) = try runner()
        let first = try runner.launch(start)
        #expect(throws: RunnerError.outOfOrder) { try runner.launch(decode(1, guesses: [4])) }
        let second = try runner.launch(decode(2))
        #expect(throws: RunnerError.outOfOrder) { try runner.launch(decode(3)) }
        #expect(try runner.collect(first).rows.map(\.tokens.count) == [1])
        #expect(try runner.collect(second).rows.map(\.tokens.count) == [1])
        #expect(throws: Never.self) { try runner.collect(runner.launch(decode(4, guesses: [4]))) }
    }

    /// Where nothing can be chosen, what was launched behind it brings nothing either.
    @Test func behindNoTokenComesNone() throws {
        var sampling = SamplingParameters()
        (sampling.allowedTokens, sampling.minTokens) = ([7], 1)
        let (runner, start) = try runner(sampling: sampling, stopTokens: [7])
        let first = try runner.launch(start), second = try runner.launch(decode(1))
        #expect(try runner.collect(first).rows == [StepResult.Row(slot: 3, tokens: [])])
        #expect(try runner.collect(second).rows == [StepResult.Row(slot: 3, tokens: [])])
    }
}
