import MartletCore
import MartletEngine
import MartletTestSupport
import Testing

/// Guesses in the scheduler's plans, and what becomes of them.
@Suite struct SpeculationTests {
    private func simulation(
        _ limits: RunnerLimits = .small(), reply: [TokenID]? = nil, tokenCount: Int = 4, batch: Int? = 99,
        _ configure: (inout EngineConfiguration) -> Void = { _ in }
    ) -> Simulation {
        var configuration = EngineConfiguration()
        configuration.speculation = SpeculationConfiguration(
            tokenCount: tokenCount, shortestMatch: 2, longestMatch: 4, largestBatch: batch)
        configure(&configuration)
        let script = RunnerScript()
        if let reply { script.directions.reply = { _ in reply } }
        let simulation = Simulation(limits: limits, configuration: configuration, script: script)
        simulation.keepsPlans = true
        return simulation
    }

    /// The guesses of every step with a decode.
    private func guesses(_ simulation: Simulation) -> [[TokenID]] {
        simulation.plans.flatMap { $0.decodes.map(\.guesses) }
    }

    private func answer(_ simulation: Simulation, _ id: UInt64 = 1) -> [TokenID] {
        simulation.outcomes[id]?[0]?.tokens.map(\.token) ?? []
    }

    // MARK: Acceptance

    @Test func rightGuessesComeInOneStep() throws {
        let simulation = simulation(reply: [2, 3, 4, 5, 6, 7, 8, 9, 10])
        try simulation.add(GenerationRequest([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99, 1], maxTokens: 9), id: 1)
        simulation.run()
        #expect(answer(simulation) == [2, 3, 4, 5, 6, 7, 8, 9, 10])
        // The prefill brings 2, then 3…7, then 8, 9, 10: the last needs no guess behind it.
        #expect(guesses(simulation) == [[3, 4, 5, 6], [8, 9]])
        let speculation = try #require(simulation.statistics.speculation)
        #expect(speculation.drafts == 2 && speculation.guessedTokens == 6 && speculation.acceptedTokens == 6)
        #expect(speculation.acceptedByPosition == [2, 2, 1, 1])
        #expect(simulation.statistics.generatedTokens == 9)
    }

    @Test func wrongGuessesCostNothingButRows() throws {
        let simulation = simulation(reply: [2, 50, 1, 2, 60, 1, 2, 70])
        try simulation.add(GenerationRequest([1, 2, 3, 4, 5, 6, 1], maxTokens: 8), id: 1)
        simulation.run()
        #expect(answer(simulation) == [2, 50, 1, 2, 60, 1, 2, 70])
        // After "1 2" first 3 4 5 6, then, once that was wrong, one token: 50, then 60.
        #expect(guesses(simulation) == [[3, 4, 5, 6], [], [], [50], [], [], []])
        let speculation = try #require(simulation.statistics.speculation)
        #expect(speculation.guessedTokens == 5 && speculation.acceptedTokens == 0)
    }

    @Test func someGuessesAreRight() throws {
        let simulation = simulation(reply: [2, 3, 4, 50, 51, 52])
        try simulation.add(GenerationRequest([1, 2, 3, 4, 5, 6, 1], maxTokens: 6), id: 1)
        simulation.run()
        #expect(answer(simulation) == [2, 3, 4, 50, 51, 52])
        #expect(guesses(simulation) == [[3, 4, 5, 6], [], []])
        #expect(simulation.statistics.speculation?.acceptedByPosition == [1, 1, 0, 0])
    }

    // MARK: Ends

    @Test func aStopTokenAmongTheGuessesEndsThere() throws {
        let simulation = simulation(reply: [2, 3, 7, 5, 6]) { $0.endTokens = [7] }
        try simulation.add(GenerationRequest([1, 2, 3, 7, 5, 6, 1], maxTokens: 9), id: 1)
        simulation.run()
        #expect(guesses(simulation) == [[3, 7, 5, 6]])
        #expect(answer(simulation) == [2, 3])
        let outcome = simulation.outcomes[1]?[0]
        #expect(outcome?.reason == .stop && outcome?.stopToken == 7)
        #expect(simulation.statistics.generatedTokens == 3)
    }

    @Test(arguments: 1...6) func theLimitIsKept(maxTokens: Int) throws {
        let simulation = simulation(reply: [2, 3, 4, 5, 6, 7])
        try simulation.add(GenerationRequest([1, 2, 3, 4, 5, 6, 1], maxTokens: maxTokens), id: 1)
        simulation.run()
        #expect(answer(simulation) == Array([2, 3, 4, 5, 6, 7].prefix(maxTokens)))
        #expect(simulation.outcomes[1]?[0]?.reason == .length)
    }

    @Test func theContextIsKept() throws {
        for tokenCount in 1...6 {
            let simulation = simulation(.small(blockCount: 5, maxModelLength: 20), tokenCount: tokenCount)
            simulation.runner.script.directions.reply = { _ in Array(repeating: 5, count: 99) }
            try simulation.add(GenerationRequest([5, 5, 5, 5, 5], maxTokens: 3000), id: 1)
            simulation.run()
            #expect(answer(simulation) == Array(repeating: 5, count: 15))
            #expect(simulation.statistics.speculation.map { $0.acceptedTokens > 5 } == true)
        }
    }

    @Test func aRowThatIsNotANumberFailsBehindTheRightGuesses() throws {
        let simulation = simulation(reply: [2, 3, 4, 5, 6, 7])
        simulation.runner.script.directions.notANumber = { $1 == 3 }
        try simulation.add(GenerationRequest([1, 2, 3, 4, 5, 6, 1], maxTokens: 6), id: 1)
        simulation.run()
        #expect(answer(simulation) == [2, 3, 4])
        #expect(simulation.outcomes[1]?[0]?.reason == .error)
    }

    @Test func anAnswerThatDoesNotFitTheGuessesFailsItsStep() throws {
        var configuration = EngineConfiguration()
        configuration.speculation = SpeculationConfiguration(
            tokenCount: 2, shortestMatch: 1, longestMatch: 1, largestBatch: 1)
        for tokens in [[9, 8], [5, 5, 5, 5]] as [[TokenID]] {
            var scheduler = Scheduler(limits: .small(), configuration: configuration)
            try scheduler.add(GenerationRequest([5, 5]), id: RequestID(value: 1), visionUnits: [], seed: 0, now: 0)
            _ = scheduler.schedule(now: 0, cost: .unit)
            func result(_ index: UInt64, _ tokens: [TokenID]) -> StepResult {
                StepResult(index: index, rows: [.init(slot: 0, tokens: tokens.map { SampledToken(token: $0) })])
            }
            _ = scheduler.postprocess(result(0, [5]), now: 0)
            let guesses = scheduler.schedule(now: 0, cost: .unit).step?.plan.decodes.first?.guesses
            #expect(guesses == [5, 5])
            let actions = scheduler.postprocess(result(1, tokens), now: 0)
            guard case .finished(_, .error, _, _)? = actions.last?.event else {
                Issue.record("\(tokens) was taken: \(actions)")
                continue
            }
        }
    }

    // MARK: Room

    @Test func guessesStopWhereTheirRowsAreDear() throws {
        // A step costs as much as six of its rows.
        let simulation = simulation(batch: nil)
        simulation.runner.costModel = CostModel(step: 0.006, row: 0.001, pair: 0, visionUnit: 0)
        simulation.runner.script.directions.reply = { _ in Array(repeating: 5, count: 99) }
        for id in UInt64(1)...3 {
            try simulation.add(GenerationRequest([5, 5, 5, TokenID(id), 5, 5], maxTokens: 30), id: id)
        }
        simulation.run()
        let shapes = Set(simulation.plans.filter(\.chunks.isEmpty).map { $0.decodes.map(\.guesses.count) })
        #expect(shapes.contains([3, 0, 0]), "three decodes and three guesses: \(shapes)")
        #expect(simulation.plans.allSatisfy { !$0.chunks.isEmpty || $0.rowCount <= 6 })
    }

    @Test func guessesStopAtTheBatchThatIsSet() throws {
        let simulation = simulation(batch: 2)
        simulation.runner.script.directions.reply = { _ in Array(repeating: 5, count: 99) }
        for id in UInt64(1)...3 {
            let request = GenerationRequest([5, 5, 5, TokenID(id), 5, 5], maxTokens: id == 1 ? 9 : 30)
            try simulation.add(request, id: id)
        }
        simulation.run()
        let decoding = simulation.plans.filter(\.chunks.isEmpty)
        #expect(decoding.contains { $0.decodes.count == 3 } && decoding.contains { $0.rowCount == 2 * 5 })
        #expect(decoding.allSatisfy { $0.decodes.count < 3 || $0.rowCount == 3 })
    }

    @Test func guessesLeaveRowsAndBlocksToOthers() throws {
        let limits = RunnerLimits.small(blockCount: 12, slotCount: 3)
        let simulation = simulation(limits) { $0.maxBatchedTokens = 5 }
        simulation.runner.script.directions.reply = { _ in Array(repeating: 5, count: 99) }
        for id in UInt64(1)...3 { try simulation.add(GenerationRequest([5, 5, 5, 5, 5], maxTokens: 10), id: id) }
        simulation.run()
        #expect(simulation.plans.allSatisfy { $0.rowCount <= 5 })
        #expect(simulation.statistics.preemptions == 0)
        #expect(simulation.runner.script.counts.guesses > 10)
        for id in UInt64(1)...3 { #expect(answer(simulation, id).count == 10) }
    }

    // MARK: What was rejected

    @Test func theNextTurnFindsAsMuchAsWithout() throws {
        var cached: [[Int?]] = []
        for speculates in [false, true] {
            let simulation = simulation { if !speculates { $0.speculation = nil } }
            simulation.runner.script.directions.repetition = 7
            var found: [Int?] = []
            for length in 5..<40 {
                let id = UInt64(length)
                let prompt = (0..<length).map { TokenID($0 % 5) } + [TokenID(100 + length), 0, 1, 2]
                try simulation.add(GenerationRequest(prompt, maxTokens: 17), id: id)
                simulation.run()
                try simulation.add(GenerationRequest(prompt + answer(simulation, id) + [77], maxTokens: 1), id: id + 99)
                simulation.run()
                found.append(simulation.started[id + 99]?.cached)
            }
            cached.append(found)
            #expect((simulation.runner.script.counts.guesses > 40) == speculates)
        }
        #expect(cached[0] == cached[1])
    }

    @Test func withLookaheadAGuesserWaitsForItsTokens() throws {
        let limits = RunnerLimits.small(depth: 3)
        let simulation = simulation(limits)
        simulation.runner.script.directions.repetition = 7
        for id in UInt64(1)...3 {
            try simulation.add(GenerationRequest([5, 6, 5, 6, TokenID(id), 5], maxTokens: 40), id: id)
        }
        simulation.run()
        #expect(simulation.runner.script.counts.guesses > 10)
        for id in UInt64(1)...3 {
            let request = GenerationRequest([5, 6, 5, 6, TokenID(id), 5], maxTokens: 40)
            #expect(
                simulation.outcomes[id] == (try Simulation.solo(request, limits: limits, repetition: 7)))
        }
    }
}
