import Foundation
import MartletCPU
import MartletCore
import MartletEngine
import MartletParallel
import MartletTensor
import Synchronization
import Testing

@testable import MartletModels

/// A model in stages says what it says on one rank: bit for bit where ranks share no layer, for then no sum is cut.
@Suite(.timeLimit(.minutes(10))) struct PipelineParallelTests {
    static let sizes: [(tensor: Int, pipeline: Int, mode: TowerMode)] = [
        (1, 1, .weights), (1, 2, .weights), (2, 2, .weights), (2, 2, .data),
    ]

    /// Text and pictures, in whole prefills and chunks, and after prefix hits.
    @Test(arguments: sizes) func sameTokensAtEverySize(tensor: Int, pipeline: Int, mode: TowerMode) async throws {
        let requests = [.greedy(try TinyModel.prompt()), .greedy(Prompt(tokens: TinyModel.textTokens))]
            as [GenerationRequest]
        let expected = try await EngineUnderTest().run { engine in
            var outcomes: [Outcome] = []
            for request in requests { outcomes.append(try await engine.complete(request)[0]) }
            return outcomes
        }
        let ranked = try RankedModel(TinyModel(), tensor: tensor, pipeline: pipeline, towerMode: mode)
        for chunk in [256, 16, 7] {
            try await ranked.serve(maxBatchedTokens: chunk) { engine in
                for (index, cached) in [(0, 0), (0, 32), (1, 0)] {
                    let outcome = try await engine.complete(requests[index])[0]
                    let what = "TP \(tensor) PP \(pipeline) \(mode), chunks of \(chunk), request \(index)"
                    expectNear(outcome, expected[index], what)
                    if tensor == 1 { #expect(outcome == expected[index], "\(what)") }
                    #expect(outcome.cachedTokens == cached, "\(what)")
                }
            }
        }
    }

    /// D5: several batches under way, and the bits are those of one rank and no company.
    @Test func aRequestDoesNotSeeItsCompany() async throws {
        var drawing = try RequestDrawing(seed: 11)
        let requests = (0..<16).map { _ in drawing.next() }
        var alone: [[Outcome]] = []
        for request in requests { alone.append(try await EngineUnderTest().run { try await $0.complete(request) }) }
        let ranked = try RankedModel(TinyModel(), pipeline: 2)
        for chunk in [256, 16, 7] {
            let together = try await ranked.serve(maxBatchedTokens: chunk) { try await $0.completeTogether(requests) }
            #expect(together == alone, "steps of \(chunk) rows")
        }
        let times = ranked.trace.look()
        #expect(times.busySeconds.allSatisfy { $0 > 0 }, "\(times)")
    }

    /// While there is work for both, each step of the last stage runs beside the next one of the first: it may wait for
    /// the first to begin with that, and never waits in vain.
    @Test func stagesAreBusyTogether() async throws {
        var request = GenerationRequest.greedy(Prompt(tokens: TinyModel.textTokens), maxTokens: 60)
        request.sampling.logprobCount = nil
        let begun = Atomic<Int>(0), together = Atomic<Int>(0)
        var ranked = try RankedModel(TinyModel(), pipeline: 2)
        ranked.willLaunch = { rank, number in
            if rank == 0 { begun.store(number, ordering: .sequentiallyConsistent) }
            // Prompts are in after a few steps, and no answer has ended before step 60.
            guard rank == 1, (8..<60).contains(number) else { return }
            let deadline = ContinuousClock.now + .seconds(120)
            while begun.load(ordering: .sequentiallyConsistent) <= number {
                guard ContinuousClock.now < deadline else { throw PlantedFault() }
                sched_yield()
            }
            together.add(1, ordering: .relaxed)
        }
        let requests = [GenerationRequest](repeating: request, count: 6)
        let outcomes = try await ranked.serve { try await $0.completeTogether(requests) }
        #expect(outcomes.allSatisfy { $0[0].tokens.count == 60 && $0 == outcomes[0] })
        let count = together.load(ordering: .relaxed)
        #expect(count == 52)
    }

    @Test func tensorRanksInStagesDoNotSeeTheirCompany() async throws {
        var drawing = try RequestDrawing(seed: 12)
        let requests = (0..<8).map { _ in drawing.next() }
        let ranked = try RankedModel(TinyModel(), tensor: 2, pipeline: 2)
        var alone: [[Outcome]] = []
        for request in requests { alone.append(try await ranked.serve { try await $0.complete(request) }) }
        let together = try await ranked.serve(maxBatchedTokens: 32) { try await $0.completeTogether(requests) }
        #expect(together == alone)
    }

    /// Blocks run out while steps are under way.
    @Test func preemptionLeavesNoTrace() async throws {
        var drawing = try RequestDrawing(seed: 7)
        let requests = (0..<8).map { _ in drawing.next(outputTokens: 90) }
        var alone: [[Outcome]] = []
        for request in requests { alone.append(try await EngineUnderTest().run { try await $0.complete(request) }) }
        let (outcomes, statistics) = try await RankedModel(TinyModel(), pipeline: 2).serve(blockCount: 24) {
            (try await $0.completeTogether(requests), await $0.statistics())
        }
        #expect(outcomes == alone)
        #expect(statistics.preemptions > 0)
    }

    /// Guesses are verified by the last stage; the others learn with the result which of them were right.
    @Test func guessesChangeNothing() async throws {
        var drawing = try RequestDrawing(seed: 4)
        let requests = (0..<12).map { index in
            var request = drawing.next(outputTokens: 40)
            request.sampling.temperature = [0, 0.05, 0.3][index % 3]
            request.sampling.frequencyPenalty = 0
            request.sampling.presencePenalty = 0
            request.sampling.repetitionPenalty = 1
            return request
        }
        let plain = try await EngineUnderTest().run { try await $0.completeTogether(requests) }
        let speculation = SpeculationConfiguration(tokenCount: 4, shortestMatch: 1, longestMatch: 3, largestBatch: 99)
        let (outcomes, statistics) = try await RankedModel(TinyModel(), pipeline: 2).serve(speculation: speculation) {
            (try await $0.completeTogether(requests), await $0.statistics())
        }
        #expect(outcomes == plain)
        #expect(statistics.speculation.map { $0.acceptedTokens > 20 } == true, "\(statistics)")
    }

    @Test func aPromptIsPrefilledAheadThroughAllStages() async throws {
        let request = GenerationRequest.greedy(Prompt(tokens: (0..<120).map { 10 + TokenID($0) }))
        let alone = try await EngineUnderTest().run { try await $0.complete(request) }
        try await RankedModel(TinyModel(), pipeline: 2).serve(maxBatchedTokens: 32) { engine in
            await engine.prefillAhead(request.prompt.tokens, cacheSalt: "")
            while await engine.statistics().aheadTokens < 112 { try await Task.sleep(for: .milliseconds(2)) }
            let outcome = try await engine.complete(request)
            #expect(outcome == alone && outcome[0].cachedTokens == 112)
        }
    }

    /// The fixtures of transformers that have layers enough: as hashed weights, and as quantised GGUF files.
    static let fixtures = ReferenceLogitsTests.fixtures.filter { fixture in
        ((try? fixture.model())?.configuration.decoder.layerCount ?? 0) >= 2
    }

    @Test func mostFixturesHaveTwoLayers() { #expect(Self.fixtures.count >= 15, "\(Self.fixtures.count)") }

    @Test(arguments: fixtures) func fixturesAgree(fixture: ReferenceLogitsTests.Fixture) throws {
        let model = try fixture.model(), prompt = try fixture.prompt(), rows = fixture.rows
        let ranked = try RankedModel(model, pipeline: 2)
        let logits = try ranked.run { part, backend in
            try part.logits(of: prompt, rows: rows, chunk: 32, backend: backend)
        }
        try #require(logits.count == fixture.logits.count)
        let worst = zip(logits, fixture.logits).map { abs($0 - $1) }.max() ?? .infinity
        #expect(worst <= 2e-4, "\(fixture.name): \(worst)")
        let alone = try model.logits(of: prompt, rows: rows, chunk: 32, backend: CPUBackend(threads: 1))
        #expect(logits == alone, "\(fixture.name)")
    }

    /// What a rank reads is what the plan says that it holds, whatever the format; a tied head is read on both ends.
    @Test(arguments: fixtures) func stagesReadTheirShards(fixture: ReferenceLogitsTests.Fixture) throws {
        let model = try fixture.model()
        let tensors = model.configuration.tensors(of: model.source)
        let ranked = try RankedModel(model, pipeline: 2)
        try ranked.run { part, backend in
            _ = try part.decoder(backend)
            _ = try part.tower(backend)
        }
        for (rank, shard) in ranked.layout.shards.enumerated() {
            let planned = RankFootprint(shard, of: model.configuration, tensors: tensors, cacheType: .f32, rows: 1)
            #expect(ranked.loadedBytes[rank] == planned.weightBytes, "\(fixture.name), rank \(rank)")
        }
        let whole = tensors.reduce(0) { $0 + $1.dtype.byteCount($1.elementCount) }
        let twice = tensors.filter { $0.name == TensorName.embedding && model.configuration.decoder.hasTiedHead }
            .reduce(0) { $0 + $1.dtype.byteCount($1.elementCount) }
        #expect(ranked.loadedBytes[0] + ranked.loadedBytes[1] == whole + twice, "\(fixture.name)")
    }
}
