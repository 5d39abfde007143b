import MartletCPU
import MartletCore
import MartletEngine
import MartletParallel
import Testing

@testable import MartletModels

/// Stages that are asked for the impossible, fail, or are stopped: all of them leave together, and nobody waits.
@Suite(.timeLimit(.minutes(10))) struct PipelineFaultTests {
    /// A prompt, its first token, and two decodes, with faulty plans between, each of which every stage refuses.
    @Test(arguments: [1, 2]) func aPlanAtFaultLeavesTheStagesTogether(tensor: Int) throws {
        let runner = try RankedModel(TinyModel(), tensor: tensor, pipeline: 2).runner()
        let tokens = TinyModel.textTokens
        var index: UInt64 = 0
        func run(_ fill: (inout StepPlan) -> Void) throws -> [TokenID] {
            index += 1
            var plan = StepPlan(index: index)
            fill(&plan)
            return try runner.collect(runner.launch(plan)).rows.flatMap { $0.tokens.map(\.token) }
        }
        func refuse(_ error: RunnerError, _ fill: (inout StepPlan) -> Void) {
            #expect(throws: error) { try run(fill) }
        }
        refuse(.unknownSlot) { $0.decodes = [SlotDecode(slot: 3)] }
        refuse(.unknownImage) { $0.visionWork = [VisionWork(image: 4, units: 0..<1)] }
        let first = try run {
            $0.admissions = [
                SlotAdmission(
                    slot: 0, tokens: tokens, promptCount: tokens.count, cachedCount: 0, images: [],
                    sampling: GenerationRequest.greedy(Prompt(tokens: tokens)).sampling, seed: 0, choice: 0,
                    stopTokens: [])
            ]
            $0.blockAppends = [BlockAppend(slot: 0, blocks: [5])]
            $0.chunks = [PrefillChunk(slot: 0, range: 0..<tokens.count, samples: true)]
        }
        refuse(.outOfOrder) { $0.chunks = [PrefillChunk(slot: 0, range: 0..<2, samples: false)] }
        let image = try TinyModel.images()[0], units = runner.visionUnitCount(of: image)
        try runner.register(image, as: 9)
        refuse(.outOfOrder) { $0.visionWork = [VisionWork(image: 9, units: 1..<units)] }
        refuse(.outOfOrder) { $0.visionWork = [VisionWork(image: 9, units: 0..<units + 1)] }
        #expect(try run { $0.visionWork = [VisionWork(image: 9, units: 0..<units)] } == [])
        refuse(.unknownImage) { $0.visionWork = [VisionWork(image: 9, units: units..<units + 1)] }
        let second = try run { $0.decodes = [SlotDecode(slot: 0)] }
        refuse(.unknownSlot) { $0.decodes = [SlotDecode(slot: 0), SlotDecode(slot: 1)] }
        let third = try run { $0.decodes = [SlotDecode(slot: 0)] }
        // As one rank says it.
        let alone = try TinyModel().logits(
            of: Prompt(tokens: tokens + first + second), rows: [7, 8, 9], chunk: 16, backend: CPUBackend(threads: 1))
        let best = (0..<3).map { row in
            let values = alone[(row * 320)..<((row + 1) * 320)]
            return TokenID((values.indices.max { values[$0] < values[$1] } ?? 0) - row * 320)
        }
        #expect(first + second + third == best)
    }

    /// Whichever rank fails, at whatever step: every stream ends with an error, the engine is dead and says why.
    @Test(arguments: [(1, 1), (1, 2), (1, 9), (2, 1), (3, 1), (3, 6)], [1, 4]) func aStageThatFailsEndsEveryStream(
        fault: (rank: Int, launch: Int), count: Int
    ) async throws {
        var ranked = try RankedModel(TinyModel(), tensor: fault.rank > 1 ? 2 : 1, pipeline: 2)
        ranked.willLaunch = { if $0 == fault.rank, $1 == fault.launch { throw PlantedFault() } }
        let engine = Engine(configuration: EngineConfiguration(), runner: try ranked.runner())
        try await withThrowingTaskGroup(of: Outcome.self) { group in
            for _ in 0..<count {
                let generation = try await engine.submit(
                    .greedy(Prompt(tokens: TinyModel.textTokens), maxTokens: 64))
                group.addTask {
                    var outcome = Outcome()
                    for await event in generation.events {
                        if case .finished(_, let reason, _, _) = event { outcome.reason = reason }
                    }
                    return outcome
                }
            }
            await engine.run()
            for try await outcome in group { #expect(outcome.reason == .error) }
        }
        let reason = "The ranks no longer work together: rank \(fault.rank): a planted fault"
        #expect(engine.health() == .dead(reason: reason))
    }

    /// Clients leave while steps are under way; what they held comes back, and the others get what they get alone.
    @Test(arguments: [(1, 2), (2, 2)]) func clientsLeaveInMidFlight(tensor: Int, pipeline: Int) async throws {
        let request = GenerationRequest.greedy(Prompt(tokens: TinyModel.textTokens), maxTokens: 40)
        let alone = try await RankedModel(TinyModel(), tensor: tensor).serve { try await $0.complete(request) }
        try await RankedModel(TinyModel(), tensor: tensor, pipeline: pipeline).serve(maxBatchedTokens: 16) { engine in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<12 {
                    group.addTask {
                        guard index % 2 == 0 else {
                            #expect(try await engine.complete(request) == alone)
                            return
                        }
                        let generation = try await engine.submit(request)
                        var left = index
                        for await _ in generation.events {
                            left -= 1
                            if left < 0 { await engine.cancel(generation.id) }
                        }
                    }
                }
                try await group.waitForAll()
            }
            await engine.drain(timeout: .seconds(600))
            let statistics = await engine.statistics()
            #expect(statistics.usedBlockCount == 0 && statistics.integrityFailures == 0)
            #expect(statistics.finishedCancelled > 0)
        }
    }

    /// The engine is stopped while both stages work: it ends, and the ranks end with their runner.
    @Test(arguments: 0..<6) func shutdownInMidFlight(tokens: Int) async throws {
        let request = GenerationRequest.greedy(Prompt(tokens: TinyModel.textTokens), maxTokens: 400)
        try await RankedModel(TinyModel(), pipeline: 2).serve { engine in
            var generations: [Generation] = []
            for _ in 0..<4 { generations.append(try await engine.submit(request)) }
            var events = generations[0].events.makeAsyncIterator()
            for _ in 0..<tokens { #expect(await events.next() != nil) }
            let isIdle = await engine.statistics().runningCount == 0
            #expect(!isIdle || tokens == 0)
            withExtendedLifetime(generations) {}
        }
    }
}
