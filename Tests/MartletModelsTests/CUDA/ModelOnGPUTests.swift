import MartletCUDA
import MartletCore
import MartletEngine
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletModels

/// The whole model on an emulated GPU.
@Suite struct ModelOnGPUTests {
    /// The golden numbers of MODEL.md 7.2: in f32 as near as the CPU's, in 16 bits as these allow.
    @Test(arguments: [(DType.f32, Float(1)), (.f16, 500), (.bf16, 4000)])
    func goldenValues(_ operandType: DType, _ slack: Float) throws {
        try EmulatedGPUs.run { gpus in
            let golden = GoldenValues(slack: slack, cacheType: operandType)
            try golden.checkIntermediates(on: gpus.backend(operandType))
            try golden.checkTextOnly(on: gpus.backend(operandType))
        }
    }

    /// What is set aside for a picture on its way is what it takes, beside the embeddings that stay.
    @Test(arguments: [DType.f32, .bf16]) func aPictureTakesWhatIsCounted(_ operandType: DType) throws {
        try EmulatedGPUs.run { gpus in
            let backend = try gpus.backend(operandType)
            let model = try TinyModel(), image = try TinyModel.images()[0]
            let tower = try #require(try model.tower(backend))
            // The first one brings what all have in common.
            _ = try tower.begin(image)
            let before = try backend.device.memory().free
            let encoding = try tower.begin(image)
            let taken = try before - backend.device.memory().free
            let counted = RankFootprint.encodingBytes(
                TowerShard(whole: tower.configuration), patches: image.patchRows * image.patchColumns,
                operandBytes: operandType.blockBytes)
            let embeddings = image.tokenCount * tower.configuration.outputSize * 4
            #expect((counted + embeddings...counted + embeddings + 5 * 512).contains(taken))
            withExtendedLifetime(encoding) {}
        }
    }

    /// The memory of a picture that was half encoded, and is wanted no more, is the next one's.
    @Test func aPictureHasTheMemoryOfTheOneBefore() throws {
        try EmulatedGPUs.run { gpus in
            let backend = try gpus.backend(.f32)
            let runner = try TinyModel().runner(backend), image = try TinyModel.images()[0]
            for id in ImageID(1)...2 { try runner.register(image, as: id) }
            var first = StepPlan(index: 0), second = StepPlan(index: 1)
            first.visionWork = [VisionWork(image: 1, units: 0..<1)]
            _ = try runner.collect(runner.launch(first))
            // What is left takes a picture's pixels, and no encoding.
            let left = 64 << 10
            let filling = try backend.makeActivation(rows: 1, width: (backend.device.memory().free - left) / 4)
            second.imageReleases = [1]
            second.visionWork = [VisionWork(image: 2, units: 0..<1)]
            #expect(throws: Never.self) { try runner.collect(runner.launch(second)) }
            withExtendedLifetime(filling) {}
        }
    }

    private func serve<Result: Sendable>(
        _ gpus: EmulatedGPUs, _ operandType: DType = .f32, capturesGraphs: Bool = true, depth: Int = 2,
        blockCount: Int = 64, speculation: SpeculationConfiguration? = nil,
        _ body: @Sendable (any GenerationEngine) async throws -> Result
    ) async throws -> Result {
        var model = try TinyModel()
        model.depth = depth
        let ranked = try RankedModel(model) { _, communicator in
            try CUDABackend(
                gpus.device(), operandType: operandType, threads: 1, communicator: communicator,
                capturesGraphs: capturesGraphs)
        }
        return try await ranked.serve(
            maxBatchedTokens: 64, blockCount: blockCount, speculation: speculation, body)
    }

    /// What stands behind a token that nobody has read yet is what stands behind it once it is read: of requests of
    /// every kind, with ends that the step behind does not know of, and with too few blocks for all.
    @Test(arguments: [true, false]) func twoStepsInFlightChangeNothing(_ capturesGraphs: Bool) async throws {
        var drawing = try RequestDrawing(seed: 8)
        let requests = (0..<16).map { _ in drawing.next() }
        try await EmulatedGPUs.run { gpus in
            let one = try await serve(gpus, capturesGraphs: capturesGraphs, depth: 1) {
                try await $0.completeTogether(requests)
            }
            let two = try await serve(gpus, capturesGraphs: capturesGraphs, depth: 2, blockCount: 30) {
                try await $0.completeTogether(requests)
            }
            for (one, two) in zip(one, two) {
                #expect(one[0].reason == two[0].reason)
                expectNear(two[0], one[0], "two steps in flight")
            }
        }
    }

    /// Pictures and text at once, in chunks: the CPU's tokens, with graphs and without.
    @Test(arguments: [true, false]) func sameTokensAsTheCPU(_ capturesGraphs: Bool) async throws {
        let requests = [.greedy(try TinyModel.prompt()), .greedy(Prompt(tokens: TinyModel.textTokens))]
            as [GenerationRequest]
        let expected = try await RankedModel(TinyModel()).serve { try await $0.completeTogether(requests) }
        #expect(expected[0][0].tokens.map(\.token) == [130, 262, 130, 262, 130, 262, 289, 173])
        try await EmulatedGPUs.run { gpus in
            let found = try await serve(gpus, capturesGraphs: capturesGraphs) { engine in
                try await engine.completeTogether(requests)
            }
            for (one, other) in zip(found, expected) { expectNear(one[0], other[0], "graphs: \(capturesGraphs)") }
            #expect((gpus.callCount(of: "cuGraphLaunch") > 0) == capturesGraphs)
        }
    }

    /// Decodes of five sequences of different lengths, filled up to eight rows: none sees its company.
    @Test func paddedDecodesAreOnesOwn() async throws {
        var drawing = try RequestDrawing(seed: 5)
        let requests = (0..<5).map { _ in drawing.next(outputTokens: 6) }
        try await EmulatedGPUs.run { gpus in
            let together = try await serve(gpus) { try await $0.completeTogether(requests) }
            for (request, outcome) in zip(requests, together) {
                let alone = try await serve(gpus, capturesGraphs: false) { try await $0.complete(request) }
                expectNear(outcome[0], alone[0], "company")
            }
        }
    }

    /// Penalties bring an edit more with almost every token: working memory for them, whose address is written down,
    /// does not move as often.
    @Test func penaltiesLeaveGraphsToBeReplayed() async throws {
        var sampling = SamplingParameters()
        sampling.temperature = 0
        sampling.maxTokens = 25
        sampling.ignoresEndOfGeneration = true
        sampling.repetitionPenalty = 1.5
        let request = GenerationRequest(prompt: Prompt(tokens: TinyModel.textTokens), sampling: sampling)
        let expected = try await RankedModel(TinyModel()).serve { try await $0.complete(request)[0] }
        #expect(Set(expected.tokens.map(\.token)).count > 20, "too few tokens of their own to tell")
        try await EmulatedGPUs.run { gpus in
            let found = try await serve(gpus) { try await $0.complete(request)[0] }
            #expect(found.tokens.map(\.token) == expected.tokens.map(\.token))
            // 24 decodes: the first with room for 8 edits, 16, 32 or 64, or a table of 1 block, 2 or 4, is no graph.
            #expect(gpus.callCount(of: "cuGraphLaunch") >= 17)
            #expect(gpus.callCount(of: "cuGraphInstantiateWithFlags") <= 6)
        }
    }

    /// A step that samples nothing tells of its own failure: nobody finds its keys and values in the prefix cache.
    @Test(arguments: ["cuLaunchKernel", "cublasLtMatmul"]) func aFailureIsOnesOwn(_ function: String) async throws {
        let request = GenerationRequest.greedy(Prompt(tokens: (0..<100).map { 10 + TokenID($0) * 7 % 200 }))
        let expected = try await RankedModel(TinyModel()).serve { try await $0.complete(request)[0] }
        try await EmulatedGPUs.run { gpus in
            try await serve(gpus) { engine in
                gpus.plant(function, call: 5, error: 1)
                // Of two steps: 64 rows, none of them sampled, and 36.
                let failed = try await engine.complete(request)[0]
                #expect(failed.reason == .error)
                let after = try await engine.complete(request)[0]
                #expect(after.cachedTokens == 0)
                expectNear(after, expected, "behind a step that failed")
            }
        }
    }

    /// A step that fails takes its requests with it and nothing else: every block comes back, the next one is served.
    @Test(arguments: ["cuLaunchKernel", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync"])
    func aFailedStepLeavesNothingBehind(_ function: String) async throws {
        try await EmulatedGPUs.run { gpus in
            try await serve(gpus) { engine in
                let request = GenerationRequest.greedy(Prompt(tokens: TinyModel.textTokens), maxTokens: 3)
                let sound = try await engine.complete(request)[0]
                #expect(sound.reason == .length)
                for call in [1, 7, 23] {
                    gpus.plant(function, call: call, error: 1)
                    let failed = try await engine.complete(request)[0]
                    // Later calls may be another request's.
                    #expect(failed.reason == .error || call > 1, "\(function), call \(call)")
                    var after = try await engine.complete(request)[0]
                    if after.reason == .error { after = try await engine.complete(request)[0] }
                    #expect(after.tokens == sound.tokens)
                }
                let statistics = await engine.statistics()
                #expect(statistics.usedBlockCount == 0 && statistics.integrityFailures == 0)
            }
        }
    }

    /// A GPU that is lost in mid-stream ends every stream with an error, and the engine says why.
    @Test func aLostDeviceEndsTheEngine() async throws {
        try await EmulatedGPUs.run { gpus in
            try await serve(gpus) { engine in
                let request = GenerationRequest.greedy(Prompt(tokens: TinyModel.textTokens), maxTokens: 400)
                var tokens = 0
                for await event in try await engine.submit(request).events {
                    if case .tokens(_, let some) = event {
                        tokens += some.count
                        if tokens == 3 { gpus.lose(after: 5) }
                    }
                    if case .finished(_, let reason, _, _) = event { #expect(reason == .error) }
                }
                guard case .dead(let reason) = engine.health() else { return #expect(Bool(false), "alive") }
                #expect(reason.hasPrefix("The GPU is lost: "), "\(reason)")
            }
        }
    }
}
