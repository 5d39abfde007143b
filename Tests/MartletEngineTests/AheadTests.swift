import MartletCore
import MartletEngine
import MartletTestSupport
import Testing

/// Prompts that are prefilled before anyone sends them: found when somebody does, in nobody's way until then.
@Suite(.timeLimit(.minutes(2))) struct AheadTests {
    private func simulation(
        _ limits: RunnerLimits = .small(), _ configure: (inout EngineConfiguration) -> Void = { _ in }
    ) -> Simulation {
        var configuration = EngineConfiguration()
        configure(&configuration)
        let simulation = Simulation(limits: limits, configuration: configuration)
        simulation.keepsPlans = true
        return simulation
    }

    private func tokens(_ count: Int, from first: TokenID = 1) -> [TokenID] { (0..<count).map { first + TokenID($0) } }

    @discardableResult private func prefill(
        _ tokens: [TokenID], salt: String = "", in simulation: Simulation
    ) -> Bool {
        simulation.scheduler.prefillAhead(tokens, cacheSalt: salt, now: simulation.now)
    }

    /// Rows of each step that belong to sequences that nobody asked for.
    private func aheadRows(_ simulation: Simulation, from first: TokenID = 1) -> [Int] {
        var slots: Set<Slot> = []
        return simulation.plans.map { plan in
            slots.subtract(plan.releases)
            for admission in plan.admissions where admission.tokens[0] == first { slots.insert(admission.slot) }
            return plan.chunks.reduce(0) { $0 + (slots.contains($1.slot) ? $1.range.count : 0) }
        }
    }

    // MARK: Found

    @Test(arguments: [1, 2, 3]) func theNextRequestFindsWholeBlocks(depth: Int) throws {
        let simulation = simulation(.small(depth: depth))
        #expect(prefill(tokens(23), in: simulation))
        simulation.run()
        // Blocks of 4: the last that 23 tokens fill ends at 20. Nothing is sampled.
        #expect(simulation.runner.script.counts.rows == 20)
        #expect(simulation.plans.flatMap { $0.chunks.map(\.samples) }.allSatisfy { !$0 })
        #expect(simulation.statistics.aheadTokens == 20 && simulation.statistics.generatedTokens == 0)
        let request = GenerationRequest(tokens(22) + [99, 98, 97], maxTokens: 5)
        try simulation.add(request, id: 1)
        simulation.run()
        #expect(simulation.started[1]?.cached == 20)
        #expect(simulation.statistics.aheadHitTokens == 20)
        #expect(simulation.outcomes[1] == (try Simulation.solo(request, limits: .small())))
    }

    @Test func onlyWhatIsNewIsComputed() throws {
        let simulation = simulation()
        try simulation.add(GenerationRequest(tokens(13), maxTokens: 1), id: 1)
        simulation.run()
        let before = simulation.runner.script.counts.rows
        prefill(tokens(33), in: simulation)
        simulation.run()
        #expect(simulation.runner.script.counts.rows - before == 32 - 12)
        #expect(simulation.statistics.aheadTokens == 20)
        // A second time there is nothing to do, not even a step.
        let steps = simulation.plans.count
        prefill(tokens(33), in: simulation)
        simulation.run()
        #expect(simulation.plans.count == steps)
    }

    @Test func saltsSeparateIt() throws {
        let simulation = simulation()
        prefill(tokens(17), salt: "tenant", in: simulation)
        simulation.run()
        for (id, salt) in [(UInt64(1), ""), (2, "tenant")] {
            var request = GenerationRequest(tokens(18), maxTokens: 1)
            request.cacheSalt = salt
            try simulation.add(request, id: id)
            simulation.run()
        }
        #expect(simulation.started[1]?.cached == 0 && simulation.started[2]?.cached == 16)
    }

    @Test func countsOfRequestsAreNotTouched() throws {
        let simulation = simulation()
        prefill(tokens(40), in: simulation)
        simulation.run()
        let statistics = simulation.statistics
        #expect(statistics.prefixQueriedTokens == 0 && statistics.promptTokens == 0)
        #expect(statistics.histograms.queueTime == EngineHistograms().queueTime)
        #expect(statistics.histograms.endToEnd == EngineHistograms().endToEnd)
        #expect(simulation.outcomes.isEmpty && simulation.started.isEmpty)
    }

    // MARK: In nobody's way

    @Test func aloneItTakesAQuarterOfAStep() throws {
        let simulation = simulation { $0.stepTargetSeconds = 0.040 }
        prefill(tokens(25), in: simulation)
        simulation.run()
        #expect(simulation.plans.map { $0.chunks.map(\.range) } == [[0..<10], [10..<20], [20..<24]])
    }

    @Test func aStepThatCostsMuchIsWorthItsCost() throws {
        let simulation = simulation { $0.stepTargetSeconds = 0.040 }
        simulation.runner.costModel = CostModel(step: 0.016, row: 0.001, pair: 0, visionUnit: 0)
        prefill(tokens(25), in: simulation)
        simulation.run()
        #expect(simulation.plans.map { $0.chunks.map(\.range) } == [[0..<16], [16..<24]])
    }

    @Test func besideDecodesItLengthensAStepByATenth() throws {
        let simulation = simulation()
        simulation.runner.costModel = CostModel(step: 0.040, row: 0.001, pair: 0, visionUnit: 0)
        for id in UInt64(1)...2 { try simulation.add(GenerationRequest([50 + TokenID(id)], maxTokens: 9), id: id) }
        simulation.step()
        prefill(tokens(13), in: simulation)
        simulation.run()
        #expect(aheadRows(simulation) == [0, 4, 4, 4, 0, 0, 0, 0, 0])
        #expect(simulation.plans[1...].allSatisfy { $0.decodes.count == 2 && $0.rowCount <= 6 })
    }

    @Test func aStepThatIsFullHasNoneOfIt() throws {
        // A step costs nothing by itself: every row delays the decode.
        let simulation = simulation()
        try simulation.add(GenerationRequest([99], maxTokens: 9), id: 1)
        simulation.step()
        prefill(tokens(13), in: simulation)
        for _ in 0..<8 { simulation.step() }
        #expect(aheadRows(simulation).allSatisfy { $0 == 0 })
        #expect(simulation.outcomes[1]?[0]?.tokens.count == 9)
        simulation.run()
        #expect(aheadRows(simulation).reduce(0, +) == 12, "then it has its turn")
    }

    @Test func whoeverComesIsAdmittedAtOnceAndFindsWhatIsDone() throws {
        let simulation = simulation(.small(slotCount: 1)) { $0.stepTargetSeconds = 0.040 }
        prefill(tokens(41), in: simulation)
        simulation.step()
        try simulation.add(GenerationRequest(tokens(41) + [99], maxTokens: 2), id: 1)
        simulation.step()
        // Ten rows were done, two whole blocks. The only slot changed hands in one step.
        #expect(simulation.started[1]?.cached == 8)
        #expect(simulation.plans[1].chunks.map(\.range) == [8..<42])
        simulation.run()
        #expect(simulation.plans.flatMap(\.admissions).count == 2, "the rest of it was found computed")
        #expect(simulation.statistics.aheadTokens == 8 && simulation.statistics.aheadHitTokens == 8)
    }

    @Test func itGoesOnWhenOthersAreDone() throws {
        let simulation = simulation { $0.stepTargetSeconds = 0.040 }
        prefill(tokens(25), in: simulation)
        simulation.step()
        try simulation.add(GenerationRequest([99], maxTokens: 3), id: 1)
        simulation.run()
        #expect(aheadRows(simulation) == [10, 0, 0, 0, 10, 6], "from its last whole block on")
        #expect(simulation.statistics.aheadTokens == 24)
    }

    @Test(arguments: [1, 2]) func blocksGoToWhoeverLacksThem(depth: Int) throws {
        let limits = RunnerLimits.small(blockCount: 8, slotCount: 3, depth: depth)
        let simulation = simulation(limits)
        simulation.runner.costModel = CostModel(step: 0.030, row: 0.001, pair: 0, visionUnit: 0)
        let request = GenerationRequest(tokens(4, from: 90), maxTokens: 27)
        try simulation.add(request, id: 1)
        simulation.step()
        prefill(tokens(21), in: simulation)
        simulation.run()
        #expect(aheadRows(simulation).contains { $0 > 0 })
        #expect(simulation.statistics.preemptions == 0)
        // One token a step, from the first to the last.
        #expect(simulation.plans.prefix(27).allSatisfy { $0.decodes.count + $0.chunks.filter(\.samples).count == 1 })
        #expect(simulation.outcomes[1] == (try Simulation.solo(request, limits: limits)))
    }

    // MARK: Given up

    @Test func whatIsTooOldIsGivenUp() throws {
        let simulation = simulation { $0.aheadSeconds = 5 }
        try simulation.add(GenerationRequest([99], maxTokens: 20), id: 1)
        simulation.step()
        prefill(tokens(13), in: simulation)
        for _ in 0..<4 { simulation.step() }
        #expect(simulation.scheduler.ahead.count == 1)
        for _ in 0..<3 { simulation.step() }
        #expect(simulation.scheduler.ahead.isEmpty)
        simulation.run()
        #expect(aheadRows(simulation).allSatisfy { $0 == 0 })
    }

    @Test func theOldestGoesWhenThereAreTooMany() throws {
        let simulation = simulation {
            $0.maxAheadPrompts = 2
            $0.maxAheadTokens = 30
        }
        for first in [10, 30, 50] as [TokenID] { prefill(tokens(9, from: first), in: simulation) }
        #expect(simulation.scheduler.ahead.map { $0.tokens[0] } == [30, 50])
        prefill(tokens(25, from: 70), in: simulation)
        #expect(simulation.scheduler.ahead.map { $0.tokens[0] } == [70])
        #expect(!prefill(tokens(31), in: simulation) && simulation.scheduler.ahead.count == 1)
    }

    @Test func whatIsOfNoUseIsNotTaken() throws {
        let plain = simulation()
        #expect(!prefill([], in: plain))
        #expect(!prefill(tokens(4), in: plain), "no whole block in front of its last token")
        #expect(!prefill([1, 2, 3, 4, -5, 6], in: plain))
        #expect(!prefill(tokens(512), in: plain))
        #expect(!prefill(tokens(9), in: simulation { $0.enablePrefixCaching = false }))
        #expect(!prefill(tokens(9), in: simulation { $0.enableChunkedPrefill = false }))
        #expect(plain.isIdle)
    }

    @Test(arguments: [1, 3]) func shutdownEndsIt(depth: Int) throws {
        let simulation = simulation(.small(depth: depth)) { $0.stepTargetSeconds = 0.004 }
        for first in [10, 60] as [TokenID] { prefill(tokens(33, from: first), in: simulation) }
        for _ in 0..<4 { simulation.step() }
        simulation.scheduler.endAllAhead()
        #expect(simulation.scheduler.ahead.isEmpty)
        simulation.run(limit: 4)
        #expect(simulation.statistics.usedBlockCount == 0)
    }

    @Test func aFailedStepEndsItQuietly() throws {
        let simulation = simulation { $0.stepTargetSeconds = 0.040 }
        simulation.runner.script.directions.launchFault = { $0.index == 1 ? PlantedFault("launch") : nil }
        prefill(tokens(33), in: simulation)
        simulation.run()
        #expect(simulation.outcomes.isEmpty && simulation.statistics.finishedError == 0)
        #expect(simulation.statistics.aheadTokens == 8)
    }

    // MARK: The loop

    @Test func anIdleEngineWakesForIt() async throws {
        let engine = Engine(configuration: EngineConfiguration(), runner: ScriptedModelRunner(limits: .small()))
        let loop = Task { await engine.run() }
        await engine.prefillAhead(tokens(33), cacheSalt: "")
        while await engine.statistics().aheadTokens < 32 { await Task.yield() }
        let generation = try await engine.submit(GenerationRequest(tokens(34), maxTokens: 1))
        #expect(await generation.events.first { _ in true } == .started(promptTokens: 34, cachedTokens: 32))
        loop.cancel()
        await loop.value
        #expect(await engine.statistics().integrityFailures == 0)
    }

    @Test func aDrainDoesNotWaitForIt() async throws {
        let script = RunnerScript()
        var configuration = EngineConfiguration()
        configuration.stepTargetSeconds = 0.004
        let runner = ScriptedModelRunner(limits: .small(), script: script)
        let engine = Engine(configuration: configuration, runner: runner)
        let loop = Task { await engine.run() }
        await engine.prefillAhead(tokens(500), cacheSalt: "")
        while script.counts.steps == 0 { await Task.yield() }
        await engine.drain(timeout: .seconds(60))
        await engine.prefillAhead(tokens(400, from: 9), cacheSalt: "")
        let computed = await engine.statistics().aheadTokens
        #expect(computed < 496)
        for _ in 0..<50 { await Task.yield() }
        #expect(await engine.statistics().aheadTokens == computed)
        loop.cancel()
        await loop.value
        #expect(await engine.statistics().usedBlockCount == 0)
    }
}
