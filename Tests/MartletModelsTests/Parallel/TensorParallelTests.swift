import MartletCPU
import MartletCore
import MartletEngine
import MartletParallel
import MartletTensor
import Testing

@testable import MartletModels

/// A model over several ranks says what it says on one.
@Suite struct TensorParallelTests {
    static let sizes: [(Int, TowerMode)] = [(1, .weights), (2, .weights), (2, .data), (4, .data)]

    /// Text and pictures, in whole prefills and chunks, and after prefix hits.
    @Test(arguments: sizes) func sameTokensAtEverySize(tensor: Int, mode: TowerMode) async throws {
        let requests = [.greedy(try TinyModel.prompt()), .greedy(Prompt(tokens: TinyModel.textTokens))]
            as [GenerationRequest]
        let expected = try await EngineUnderTest().run { engine in
            var outcomes: [Outcome] = []
            for request in requests { outcomes.append(try await engine.complete(request)[0]) }
            return outcomes
        }
        #expect(expected[0].tokens.map(\.token) == [130, 262, 130, 262, 130, 262, 289, 173])
        let ranked = try RankedModel(TinyModel(), tensor: tensor, towerMode: mode)
        for chunk in [256, 16, 7] {
            try await ranked.serve(maxBatchedTokens: chunk) { engine in
                for cached in [0, 32] {
                    let outcome = try await engine.complete(requests[0])[0]
                    expectNear(outcome, expected[0], "TP \(tensor) \(mode), chunks of \(chunk)")
                    #expect(outcome.cachedTokens == cached)
                }
                expectNear(try await engine.complete(requests[1])[0], expected[1], "TP \(tensor) \(mode), text")
            }
        }
    }

    /// D5 and D6: the bits don't depend on the company, over ranks neither.
    @Test(arguments: [(2, TowerMode.weights), (4, .data)]) func aRequestDoesNotSeeItsCompany(
        tensor: Int, mode: TowerMode
    ) async throws {
        var drawing = try RequestDrawing(seed: 11)
        let requests = (0..<10).map { _ in drawing.next() }
        let ranked = try RankedModel(TinyModel(), tensor: tensor, towerMode: mode)
        var alone: [[Outcome]] = []
        for request in requests { alone.append(try await ranked.serve { try await $0.complete(request) }) }
        for chunk in [256, 16] {
            let together = try await ranked.serve(maxBatchedTokens: chunk) { engine in
                try await engine.completeTogether(requests)
            }
            #expect(together == alone, "steps of \(chunk) rows")
        }
    }

    /// Over two ranks, and where the model's three heads don't allow it over three; in the first of the tower's modes
    /// that suits it.
    private func ranked(_ model: TinyModel) throws -> RankedModel<CPUBackend> {
        let tensor = model.configuration.decoder.heads.queryCount % 2 == 0 ? 2 : 3
        do {
            return try RankedModel(model, tensor: tensor)
        } catch let error as ParallelError {
            #expect(error.description.contains("vision tower"), "\(error)")
            return try RankedModel(model, tensor: tensor, towerMode: .data)
        }
    }

    @Test func mostFixturesRunOverTwoRanks() throws {
        let sizes = try ReferenceLogitsTests.fixtures.map { try ranked($0.model()).layout.size }
        #expect(sizes.filter { $0.tensor == 2 }.count == 17)
        #expect(Set(sizes.map(\.towerMode)) == [.weights, .data])
    }

    /// The fixtures of transformers: as hashed weights, and as quantised GGUF files.
    @Test(arguments: ReferenceLogitsTests.fixtures) func fixturesAgree(fixture: ReferenceLogitsTests.Fixture) throws {
        let ranked = try ranked(fixture.model())
        let prompt = try fixture.prompt(), rows = fixture.rows
        let logits = try ranked.run { part, backend in
            try part.logits(of: prompt, rows: rows, chunk: 32, backend: backend)
        }
        try #require(logits.count == fixture.logits.count)
        let worst = zip(logits, fixture.logits).map { abs($0 - $1) }.max() ?? .infinity
        #expect(worst <= 2e-4, "\(fixture.name): \(worst)")
    }

    /// What a rank reads is what the plan says that it holds, whatever the format.
    @Test(arguments: ReferenceLogitsTests.fixtures) func ranksReadTheirShards(
        fixture: ReferenceLogitsTests.Fixture
    ) throws {
        let model = try fixture.model()
        let tensors = model.configuration.tensors(of: model.source)
        let whole = tensors.reduce(0) { $0 + $1.dtype.byteCount($1.elementCount) }
        let ranked = try ranked(model)
        try ranked.run { part, backend in
            _ = try part.decoder(backend)
            _ = try part.tower(backend)
            _ = try backend.agrees(on: 0)
        }
        for (rank, shard) in ranked.layout.shards.enumerated() {
            let planned = RankFootprint(shard, of: model.configuration, tensors: tensors, cacheType: .f32, rows: 1)
            #expect(ranked.loadedBytes[rank] == planned.weightBytes, "\(fixture.name), rank \(rank)")
            #expect(planned.weightBytes < whole)
        }
    }

    /// A plan at fault is found so by every rank, whoever was to encode the picture: they stay in step.
    @Test func aPlanOutOfOrderLeavesTheRanksTogether() throws {
        let runner = try RankedModel(TinyModel(), tensor: 2, towerMode: .data).runner()
        let image = try TinyModel.images()[0], units = runner.visionUnitCount(of: image)
        for id in [0, 1] as [ImageID] {
            try runner.register(image, as: id)
            var plan = StepPlan(index: 10 * id)
            plan.visionWork = [VisionWork(image: id, units: 1..<units)]
            #expect(throws: RunnerError.outOfOrder) { try runner.launch(plan) }
            for unit in 0..<units {
                plan.index += 1
                plan.visionWork = [VisionWork(image: id, units: unit..<unit + 1)]
                _ = try runner.collect(runner.launch(plan))
            }
        }
    }

    /// A rank whose choices go astray is found out, and every request ends with an error.
    @Test func ranksThatDisagreeAreFoundOut() async throws {
        let group = LocalGroup(size: 2)
        let model = try TinyModel(), layout = try RankedModel(model, tensor: 2).layout
        let follower = FollowerThread(rank: 1, group: group, processors: []) { orders in
            var part = model
            part.shard = layout.shard(ofRank: 1)
            let backend = RecordingBackend(
                try CPUBackend(threads: 1, communicator: group.communicator(ofRank: 1)))
            backend.changesTokens = { $0 > 20 }
            try orders.follow { _ in try part.runner(backend) }
        }
        var part = model
        part.shard = layout.shard(ofRank: 0)
        let lead = try part.runner(CPUBackend(threads: 1, communicator: group.communicator(ofRank: 0)))
        follower.orders.put(.begin(lead.limits))
        let runner = GroupRunner(lead: lead, followers: [follower], communicator: group.communicator(ofRank: 0))
        var configuration = EngineConfiguration()
        // Other tests' work may hold both cores for a minute.
        configuration.queueTimeoutSeconds = 3600
        let engine = Engine(configuration: configuration, runner: runner)
        var request = GenerationRequest.greedy(Prompt(tokens: TinyModel.textTokens))
        request.sampling.maxTokens = 64
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await engine.run() }
            let outcome = try await engine.complete(request)[0]
            #expect(outcome.reason == .error)
            #expect((1..<64).contains(outcome.tokens.count))
            #expect(engine.health() == .dead(reason: "The ranks no longer work together: rank 1: outOfStep"))
            tasks.cancelAll()
        }
    }
}
