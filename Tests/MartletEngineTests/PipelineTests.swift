import MartletCore
import MartletEngine
import MartletTestSupport
import Testing

/// Steps of a pipeline: as many in flight as there are stages, all of them about equal.
@Suite struct PipelineTests {
    private func simulation(
        stages: Int, cost: CostModel = .unit, configure: (inout EngineConfiguration) -> Void = { _ in }
    ) -> Simulation {
        var configuration = EngineConfiguration()
        configuration.enablePrefixCaching = false
        configuration.maxRunningSequences = 32
        configure(&configuration)
        let limits = RunnerLimits.small(blockCount: 400, slotCount: 32, depth: stages, stageCount: stages)
        let simulation = Simulation(limits: limits, configuration: configuration)
        simulation.runner.costModel = cost
        simulation.keepsPlans = true
        return simulation
    }

    private func tokens(_ count: Int, from first: TokenID = 1) -> [TokenID] { (0..<count).map { first + TokenID($0) } }

    @Test func aSequenceWaitsForItsToken() throws {
        let simulation = simulation(stages: 2)
        try simulation.add(GenerationRequest([1], maxTokens: 4), id: 1)
        simulation.run()
        #expect(simulation.plans.map { $0.decodes.map(\.slot) } == [[], [0], [0], [0]])
        #expect(simulation.outcomes[1]?[0]?.tokens.count == 4)
    }

    /// In parts as large as what is in flight: of 40 rows a half, then the other.
    @Test func aPromptGoesInAsManyPiecesAsThereAreStages() throws {
        for (stages, expected) in [(2, [0..<20, 20..<40]), (4, [0..<10, 10..<20, 20..<30, 30..<40])] {
            let simulation = simulation(stages: stages)
            try simulation.add(GenerationRequest(tokens(40), maxTokens: 1), id: 1)
            for _ in 0..<stages - 1 { simulation.step() }
            #expect(simulation.tickets.count == stages - 1, "they follow each other before the first has come back")
            simulation.run()
            #expect(simulation.plans.map { $0.chunks[0].range } == expected)
        }
    }

    /// A step by itself takes as long as 30 rows: cutting 40 in two would cost more than it hides.
    @Test func piecesAreWorthTheirStep() throws {
        let cost = CostModel(step: 0.03, row: 0.001, pair: 0, visionUnit: 0.001)
        let simulation = simulation(stages: 2, cost: cost)
        try simulation.add(GenerationRequest(tokens(40), maxTokens: 1), id: 1)
        simulation.run()
        #expect(simulation.plans.map { $0.chunks[0].range } == [0..<30, 30..<40])
    }

    /// Requests that come at once make groups that take turns; steps differ by a sequence at most, and at each launch
    /// there is one for every stage.
    @Test(arguments: [(2, 8), (2, 9), (3, 7), (4, 32), (4, 5)]) func allStagesHaveWork(
        stages: Int, count: Int
    ) throws {
        let simulation = simulation(stages: stages)
        for id in 1...UInt64(count) { try simulation.add(GenerationRequest([TokenID(id)], maxTokens: 60), id: id) }
        // All prompts are in, and no answer ends yet.
        for _ in 0..<4 * stages { simulation.step() }
        let first = simulation.plans.count
        for _ in 0..<20 {
            simulation.step()
            // The simulation collects the oldest as soon as there is one for each stage.
            #expect(simulation.tickets.count == stages - 1)
        }
        for plan in simulation.plans[first...] {
            let rows = plan.decodes.count
            #expect(rows == count / stages || rows == (count + stages - 1) / stages, "\(rows) of \(count)")
        }
        simulation.run()
        for id in 1...UInt64(count) {
            let solo = try Simulation.solo(GenerationRequest([TokenID(id)], maxTokens: 60), limits: .small())
            #expect(simulation.outcomes[id] == solo)
        }
    }

    /// However the groups come about, nobody is passed over for longer than a round.
    @Test func nobodyIsPassedOver() throws {
        var random = SeededGenerator(seed: 3)
        let simulation = simulation(stages: 3)
        for id in UInt64(1)...40 {
            let length = Int.random(in: 1...30, using: &random)
            try simulation.add(GenerationRequest([TokenID(id)], maxTokens: length), id: id)
            for _ in 0..<Int.random(in: 0...3, using: &random) { simulation.step() }
        }
        simulation.run()
        var lastTurn: [Slot: Int] = [:], longest = 0
        for (index, plan) in simulation.plans.enumerated() {
            for chunk in plan.chunks { lastTurn[chunk.slot] = index }
            for decode in plan.decodes {
                longest = max(longest, index - (lastTurn[decode.slot] ?? index))
                lastTurn[decode.slot] = index
            }
        }
        #expect(longest <= 2 * 3, "\(longest) steps")
    }

    @Test func guessesWaitForTheirTokensToo() throws {
        let simulation = simulation(stages: 3) {
            $0.speculation = SpeculationConfiguration(
                tokenCount: 4, shortestMatch: 1, longestMatch: 3, largestBatch: 99)
        }
        simulation.runner.script.directions.repetition = 7
        for id in UInt64(1)...6 { try simulation.add(GenerationRequest([TokenID(id)], maxTokens: 60), id: id) }
        simulation.run()
        for id in UInt64(1)...6 {
            let solo = try Simulation.solo(
                GenerationRequest([TokenID(id)], maxTokens: 60), limits: .small(), repetition: 7)
            #expect(simulation.outcomes[id] == solo)
        }
        #expect(simulation.statistics.speculation.map { $0.acceptedTokens > 20 } == true)
    }

    @Test func busyTimesAreCounted() {
        var times = BusyTimes(stageCount: 2)
        times.note(stage: 0, isBusy: true, now: 1)
        times.note(stage: 1, isBusy: true, now: 2)
        let earlier = times
        times.note(stage: 0, isBusy: false, now: 5)
        times.note(stage: 1, isBusy: false, now: 9)
        times.advance(to: 10)
        #expect(times.busySeconds == [4, 7] && times.togetherSeconds == 3 && times.seconds == 10)
        #expect(times.togetherShare == 0.3)
        let since = times.since(earlier)
        #expect(since.busySeconds == [3, 7] && since.togetherSeconds == 3 && since.seconds == 8)
        #expect(since.bubbleShares == [0.625, 0.125])
        times.advance(to: 4)
        #expect(times.seconds == 10)
    }
}
