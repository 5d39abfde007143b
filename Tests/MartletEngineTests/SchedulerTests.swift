import MartletCore
import MartletEngine
import MartletTestSupport
import Testing

/// Transcripts: what is asked, what is planned.
@Suite struct SchedulerTests {
    private func simulation(
        _ limits: RunnerLimits = .small(), script: RunnerScript = RunnerScript(),
        _ configure: (inout EngineConfiguration) -> Void = { _ in }
    ) -> Simulation {
        var configuration = EngineConfiguration()
        configure(&configuration)
        let simulation = Simulation(limits: limits, configuration: configuration, script: script)
        simulation.keepsPlans = true
        return simulation
    }

    private func tokens(_ count: Int, from first: TokenID = 1) -> [TokenID] { (0..<count).map { first + TokenID($0) } }

    // MARK: Filling a step

    @Test func aPromptIsCutAtTheRowBudget() throws {
        let simulation = simulation(.small(slotCount: 4)) { $0.maxBatchedTokens = 16 }
        try simulation.add(GenerationRequest(tokens(40), maxTokens: 2), id: 1)
        simulation.run()
        #expect(simulation.plans.map { $0.chunks.map(\.range) } == [[0..<16], [16..<32], [32..<40], []])
        #expect(simulation.plans.flatMap { $0.chunks.map(\.samples) } == [false, false, true])
        #expect(simulation.plans.map { $0.decodes.map(\.slot) } == [[], [], [], [0]])
    }

    @Test func aStepIsFilledToItsTime() throws {
        // A row takes a millisecond: ten fill ten.
        let simulation = simulation { $0.stepTargetSeconds = 0.010 }
        try simulation.add(GenerationRequest(tokens(25), maxTokens: 1), id: 1)
        simulation.run()
        #expect(simulation.plans.map { $0.chunks[0].range } == [0..<10, 10..<20, 20..<25])
    }

    @Test func contextCostsTimeToo() throws {
        let simulation = simulation { $0.stepTargetSeconds = 0.055 }
        simulation.runner.costModel = CostModel(step: 0, row: 0, pair: 0.001, visionUnit: 0)
        try simulation.add(GenerationRequest(tokens(20), maxTokens: 1), id: 1)
        simulation.step()
        // 1 + 2 + … + 10 pairs.
        #expect(simulation.plans[0].chunks[0].range == 0..<10)
        simulation.step()
        #expect(simulation.plans[1].chunks[0].range == 10..<14)
    }

    @Test func somethingMovesHoweverExpensive() throws {
        let simulation = simulation()
        simulation.runner.costModel = CostModel(step: 9, row: 9, pair: 9, visionUnit: 9)
        try simulation.add(GenerationRequest(tokens(3), maxTokens: 1), id: 1)
        simulation.run()
        #expect(simulation.plans.map { $0.chunks[0].range } == [0..<1, 1..<2, 2..<3])
    }

    @Test func decodesGoFirstAndLeaveAQuarterToPrefills() throws {
        let simulation = simulation { $0.stepTargetSeconds = 0.008 }
        for id in UInt64(1)...8 { try simulation.add(GenerationRequest([TokenID(id)], maxTokens: 50), id: id) }
        simulation.step()
        try simulation.add(GenerationRequest(tokens(6), maxTokens: 1), id: 9)
        simulation.step()
        #expect(simulation.plans[1].decodes.count == 8)
        #expect(simulation.plans[1].chunks.map(\.range) == [0..<2])
    }

    @Test func longPrefillsAreCapped() throws {
        let simulation = simulation { $0.longPrefillTokens = 5 }
        try simulation.add(GenerationRequest(tokens(12), maxTokens: 1), id: 1)
        try simulation.add(GenerationRequest(tokens(3, from: 50), maxTokens: 1), id: 2)
        simulation.step()
        #expect(simulation.plans[0].chunks.map(\.range) == [0..<5, 0..<3])
    }

    @Test func withoutChunkingAPromptGoesWhole() throws {
        let simulation = simulation(.small(slotCount: 4)) {
            $0.enableChunkedPrefill = false
            $0.maxBatchedTokens = 16
        }
        try simulation.add(GenerationRequest(tokens(10), maxTokens: 1), id: 1)
        try simulation.add(GenerationRequest(tokens(40, from: 100), maxTokens: 1), id: 2)
        simulation.run()
        #expect(simulation.plans.map { $0.chunks.map(\.range) } == [[0..<10], [0..<40]])
    }

    // MARK: Images

    @Test func aChunkStopsBeforeAnImageUntilItIsEncoded() throws {
        let simulation = simulation { $0.stepTargetSeconds = 0.004 }
        let image = PreparedImage.tiny(rows: 5, columns: 1, seed: 1)
        let prompt = tokens(2) + [9, 9, 9, 9, 9] + [3]
        try simulation.add(
            GenerationRequest(prompt, maxTokens: 1, images: [PlacedImage(image: image, offset: 2)]), id: 1)
        simulation.run()
        #expect(simulation.plans.map { $0.visionWork.map(\.units) } == [[0..<2], [2..<5], [], []])
        #expect(simulation.plans.map { $0.chunks.map(\.range) } == [[0..<2], [2..<3], [3..<7], [7..<8]])
    }

    @Test func anImageIsEncodedOnceForAll() throws {
        let simulation = simulation { $0.enablePrefixCaching = false }
        let image = PreparedImage.tiny(rows: 4, columns: 2, seed: 1)
        for id in UInt64(1)...3 {
            let request = GenerationRequest(
                [TokenID(id)] + Array(repeating: 9, count: 8) + [2], maxTokens: 2,
                images: [PlacedImage(image: image, offset: 1)])
            try simulation.add(request, id: id)
        }
        simulation.run()
        #expect(simulation.runner.script.counts.visionUnits == 4)
        #expect(simulation.runner.script.counts.registrations == 1)
        #expect(simulation.statistics.encoderQueries == 3 && simulation.statistics.encoderHits == 2)
        #expect(simulation.statistics.encodedImageTokens == 8)
    }

    @Test func unusedImagesGoWhenRoomIsNeeded() throws {
        var limits = RunnerLimits.small()
        limits.encoderCacheTokens = 10
        let simulation = simulation(limits)
        for id in UInt64(1)...4 {
            let image = PreparedImage.tiny(rows: 4, columns: 1, seed: UInt8(id))
            let request = GenerationRequest(
                [9, 9, 9, 9, 2], maxTokens: 1, images: [PlacedImage(image: image, offset: 0)])
            try simulation.add(request, id: id)
            simulation.run()
        }
        #expect(simulation.runner.script.counts.imageReleases == 2)
        #expect(simulation.runner.script.counts.residentImages == 2)
    }

    // MARK: Prefix cache

    @Test func afterAHitOnlyTheRestIsComputed() throws {
        let simulation = simulation()
        try simulation.add(GenerationRequest(tokens(22), maxTokens: 1), id: 1)
        simulation.run()
        let before = simulation.runner.script.counts.rows
        try simulation.add(GenerationRequest(tokens(18) + [99, 98, 97], maxTokens: 1), id: 2)
        simulation.run()
        #expect(simulation.started[2]?.cached == 16)
        #expect(simulation.runner.script.counts.rows - before == 21 - 16)
        #expect(simulation.statistics.prefixHitTokens == 16)
    }

    @Test func aFullHitStillComputesTheEnd() throws {
        let simulation = simulation()
        for id in UInt64(1)...2 {
            try simulation.add(GenerationRequest(tokens(16), maxTokens: 3), id: id)
            simulation.run()
        }
        #expect(simulation.started[2]?.cached == 12)
        #expect(simulation.outcomes[1] == simulation.outcomes[2])
    }

    @Test func generatedTokensAreReusedByTheNextTurn() throws {
        let simulation = simulation()
        try simulation.add(GenerationRequest(tokens(6), maxTokens: 11), id: 1)
        simulation.run()
        let answer = simulation.outcomes[1]?[0]?.tokens.map(\.token) ?? []
        try simulation.add(GenerationRequest(tokens(6) + answer + [77], maxTokens: 1), id: 2)
        simulation.run()
        #expect(simulation.started[2]?.cached == 16)
    }

    @Test func saltAndIdentityAndImagesSeparate() throws {
        let simulation = simulation()
        let first = PreparedImage.tiny(rows: 2, columns: 4, seed: 1)
        let second = PreparedImage.tiny(rows: 2, columns: 4, seed: 2)
        func ask(_ id: UInt64, _ image: PreparedImage, salt: String = "") throws -> Int? {
            var request = GenerationRequest(
                Array(repeating: 9, count: 8) + tokens(5), maxTokens: 1, images: [PlacedImage(image: image, offset: 0)])
            request.cacheSalt = salt
            try simulation.add(request, id: id)
            simulation.run()
            return simulation.started[id]?.cached
        }
        #expect(try ask(1, first) == 0)
        #expect(try ask(2, first) == 12)
        #expect(try ask(3, second) == 0)
        #expect(try ask(4, first, salt: "tenant") == 0)
        #expect(try ask(5, first, salt: "tenant") == 12)
        // The same tokens and pixels in another grid.
        #expect(try ask(6, PreparedImage.tiny(rows: 4, columns: 2, seed: 1)) == 0)
    }

    @Test func laterChoicesTakeThePromptFromTheCache() throws {
        let simulation = simulation()
        var request = GenerationRequest(tokens(13), maxTokens: 4)
        request.sampling.choiceCount = 3
        request.sampling.temperature = 1
        try simulation.add(request, id: 1)
        simulation.run()
        // 13 rows, then 1 uncached row for each further choice, then 3 decodes for each.
        #expect(simulation.runner.script.counts.rows == 13 + 2 + 9)
        #expect(Set((simulation.outcomes[1] ?? [:]).values.map { $0.tokens.map(\.token) }).count == 3)
    }

    // MARK: Ends

    @Test func endsAreTold() throws {
        let script = RunnerScript()
        script.directions.reply = { prompt in [10, 11, prompt.first ?? 0, 13] }
        let simulation = simulation(script: script) { $0.endTokens = [7] }
        try simulation.add(GenerationRequest([1], maxTokens: 2), id: 1)
        try simulation.add(GenerationRequest([7], maxTokens: 9), id: 2)
        var stops = GenerationRequest([5], maxTokens: 9)
        stops.sampling.stopTokens = [13]
        try simulation.add(stops, id: 3)
        var ignores = GenerationRequest([7], maxTokens: 4)
        ignores.sampling.ignoresEndOfGeneration = true
        try simulation.add(ignores, id: 4)
        simulation.run()
        func end(_ id: UInt64) -> (FinishReason?, TokenID?, [TokenID]) {
            let outcome = simulation.outcomes[id]?[0]
            return (outcome?.reason, outcome?.stopToken, outcome?.tokens.map(\.token) ?? [])
        }
        #expect(end(1) == (.length, nil, [10, 11]))
        #expect(end(2) == (.stop, 7, [10, 11]))
        #expect(end(3) == (.stop, 13, [10, 11, 5]))
        #expect(end(4) == (.length, nil, [10, 11, 7, 13]))
    }

    @Test func theContextIsALimit() throws {
        let simulation = simulation(.small(maxModelLength: 20))
        try simulation.add(GenerationRequest(tokens(17), maxTokens: 3000), id: 1)
        simulation.run()
        #expect(simulation.outcomes[1]?[0]?.tokens.count == 3)
        #expect(simulation.outcomes[1]?[0]?.reason == .length)
    }

    @Test(arguments: [1, 2]) func aRowThatIsNotANumberFailsItsSequenceOnly(depth: Int) throws {
        let script = RunnerScript()
        script.directions.notANumber = { admission, generated in admission.tokens[0] == 2 && generated == 3 }
        let simulation = simulation(.small(depth: depth), script: script)
        for id in UInt64(1)...3 { try simulation.add(GenerationRequest([TokenID(id)], maxTokens: 8), id: id) }
        simulation.run()
        #expect(simulation.outcomes[2]?[0]?.reason == .error)
        #expect(simulation.outcomes[2]?[0]?.tokens.count == 3)
        for id in [UInt64(1), 3] {
            #expect(
                simulation.outcomes[id]
                    == (try Simulation.solo(GenerationRequest([TokenID(id)], maxTokens: 8), limits: .small())))
        }
    }

    @Test(arguments: [1, 2, 3]) func aCancelTakesEffectWithinTwoSteps(depth: Int) throws {
        let simulation = simulation(.small(depth: depth))
        for id in UInt64(1)...2 {
            try simulation.add(GenerationRequest(tokens(9, from: 10 * TokenID(id)), maxTokens: 99), id: id)
        }
        for _ in 0..<6 { simulation.step() }
        let used = simulation.statistics.usedBlockCount
        simulation.cancel(2)
        #expect(simulation.outcomes[2]?[0]?.reason == .cancelled)
        let last = simulation.plans.count
        for _ in 0..<depth { simulation.step() }
        #expect(simulation.plans[last...].allSatisfy { $0.decodes == [SlotDecode(slot: 0)] })
        #expect(simulation.statistics.usedBlockCount < used)
        simulation.run()
        #expect(simulation.outcomes[1]?[0]?.tokens.count == 99)
    }

    @Test func blocksAreFreeOnlyWhenNoStepNamesThem() throws {
        let simulation = simulation(.small(depth: 3)) { $0.enablePrefixCaching = false }
        try simulation.add(GenerationRequest(tokens(9), maxTokens: 99), id: 1)
        for _ in 0..<4 { simulation.step() }
        #expect(simulation.tickets.count == 2)
        simulation.cancel(1)
        #expect(simulation.statistics.usedBlockCount == 3)
        simulation.step()
        #expect(simulation.statistics.usedBlockCount == 3, "one step is still in flight")
        simulation.step()
        #expect(simulation.statistics.usedBlockCount == 0 && simulation.isIdle)
    }

    // MARK: Order

    @Test func lowerPriorityValuesGoFirst() throws {
        let simulation = simulation(.small(slotCount: 1)) { $0.schedulingPolicy = .priority }
        for (id, priority) in [(UInt64(1), 5), (2, 0), (3, -1), (4, 0)] {
            var request = GenerationRequest([TokenID(id)], maxTokens: 1)
            request.priority = priority
            try simulation.add(request, id: id)
        }
        simulation.run()
        #expect(simulation.plans.flatMap { $0.admissions.map { $0.tokens[0] } } == [3, 2, 4, 1])
    }

    @Test func withoutThePolicyPriorityIsIgnored() throws {
        let simulation = simulation(.small(slotCount: 1))
        for (id, priority) in [(UInt64(1), 5), (2, 0)] {
            var request = GenerationRequest([TokenID(id)], maxTokens: 1)
            request.priority = priority
            try simulation.add(request, id: id)
        }
        simulation.run()
        #expect(simulation.plans.flatMap { $0.admissions.map { $0.tokens[0] } } == [1, 2])
    }

    @Test(arguments: [1, 2]) func theNewestIsPreemptedAndKeepsItsTokens(depth: Int) throws {
        let limits = RunnerLimits.small(blockCount: 10, slotCount: 4, depth: depth)
        let simulation = simulation(limits) { $0.enablePrefixCaching = false }
        for id in UInt64(1)...3 {
            try simulation.add(GenerationRequest(tokens(5, from: TokenID(10 * id)), maxTokens: 20), id: id)
        }
        simulation.run()
        #expect(simulation.statistics.preemptions > 0)
        #expect(simulation.plans.flatMap(\.admissions).filter { $0.tokens[0] == 10 }.count == 1)
        let again = simulation.plans.flatMap(\.admissions).filter { $0.tokens[0] == 30 }
        #expect(again.count > 1 && again.last?.promptCount == 5 && (again.last?.tokens.count ?? 0) > 5)
        for id in UInt64(1)...3 {
            let solo = try Simulation.solo(
                GenerationRequest(tokens(5, from: TokenID(10 * id)), maxTokens: 20), limits: limits)
            #expect(simulation.outcomes[id] == solo)
        }
    }

    @Test func lookaheadPlansBeforeItKnows() throws {
        let simulation = simulation(.small(depth: 2))
        try simulation.add(GenerationRequest([1], maxTokens: 6), id: 1)
        simulation.step()
        simulation.step()
        #expect(simulation.plans.map { $0.decodes.map(\.slot) } == [[], [0]])
        #expect(simulation.outcomes[1]?[0]?.tokens.count == 1)
        simulation.run()
        #expect(simulation.plans.count == 6, "nothing is decoded past the limit")
    }
}
