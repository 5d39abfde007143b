import MartletCore
import MartletEngine
import MartletTestSupport
import Testing

/// What is not taken, and how it is said.
@Suite struct SubmissionTests {
    private func refusal(
        _ request: GenerationRequest, limits: RunnerLimits = .small(),
        _ configure: (inout EngineConfiguration) -> Void = { _ in }
    ) -> EngineError? {
        var configuration = EngineConfiguration()
        configure(&configuration)
        let simulation = Simulation(limits: limits, configuration: configuration)
        do { try simulation.add(request, id: 1) } catch {
            #expect(simulation.statistics.rejectedRequests == 1 && simulation.isIdle)
            return error
        }
        return nil
    }

    @Test func prompts() {
        #expect(refusal(GenerationRequest([])) == .promptEmpty)
        #expect(refusal(GenerationRequest([1, 1000])) == .invalidToken(1000))
        #expect(refusal(GenerationRequest([1, -1])) == .invalidToken(-1))
        #expect(refusal(GenerationRequest(Array(repeating: 1, count: 512))) == .promptTooLong(tokens: 512, limit: 512))
        #expect(refusal(GenerationRequest(Array(repeating: 1, count: 511))) == nil)
        let small = RunnerLimits.small(blockCount: 3)
        #expect(
            refusal(GenerationRequest(Array(repeating: 1, count: 12)), limits: small)
                == .exceedsCache(tokens: 12, limit: 12))
        #expect(refusal(GenerationRequest(Array(repeating: 1, count: 11), maxTokens: 99), limits: small) == nil)
    }

    @Test func images() {
        func ask(
            _ offsets: [Int], rows: Int = 2, tokens: Int = 12, limits: RunnerLimits = .small()
        ) -> EngineError? {
            refusal(
                GenerationRequest(
                    Array(repeating: 9, count: tokens),
                    images: offsets.enumerated().map {
                        PlacedImage(image: .tiny(rows: rows, columns: 2, seed: UInt8($0.offset)), offset: $0.element)
                    }), limits: limits)
        }
        #expect(ask([0, 4, 8]) == nil)
        #expect(ask([0, 3]) == .imageTooLarge(tokens: 4, limit: 8))
        #expect(ask([9]) == .imageTooLarge(tokens: 4, limit: 3))
        #expect(ask([99]) == .imageTooLarge(tokens: 4, limit: 0))
        #expect(ask([0, Int.max]) == .imageTooLarge(tokens: 4, limit: 0))
        #expect(ask([-1]) == .imageTooLarge(tokens: 4, limit: 12))
        #expect(ask([0], rows: 129, tokens: 300) == .imageTooLarge(tokens: 258, limit: 256))
        var small = RunnerLimits.small()
        small.maxImageTokens = 4
        #expect(ask([0, 4, 8], limits: small) == nil)
        #expect(ask([0], rows: 3, limits: small) == .imageTooLarge(tokens: 6, limit: 4))
    }

    @Test func fullQueues() throws {
        var configuration = EngineConfiguration()
        configuration.maxWaitingRequests = 2
        let simulation = Simulation(configuration: configuration)
        for id in UInt64(1)...2 { try simulation.add(GenerationRequest([1]), id: id) }
        #expect(throws: EngineError.queueFull) { try simulation.add(GenerationRequest([1]), id: 3) }
        simulation.step()
        try simulation.add(GenerationRequest([1]), id: 4)
        simulation.run()
        #expect(simulation.outcomes.count == 3)

        configuration.maxWaitingTokens = 10
        let narrow = Simulation(configuration: configuration)
        try narrow.add(GenerationRequest([1, 2, 3, 4, 5, 6]), id: 1)
        #expect(throws: EngineError.queueFull) { try narrow.add(GenerationRequest([1, 2, 3, 4, 5, 6]), id: 2) }
        try narrow.add(GenerationRequest([1, 2, 3, 4]), id: 3)
    }

    @Test func whoWaitsTooLongIsTold() throws {
        var configuration = EngineConfiguration()
        configuration.queueTimeoutSeconds = 10
        let simulation = Simulation(limits: .small(slotCount: 1), configuration: configuration)
        var request = GenerationRequest([1], maxTokens: 30)
        try simulation.add(request, id: 1)
        request.sampling.choiceCount = 2
        try simulation.add(request, id: 2)
        simulation.run()
        #expect(simulation.outcomes[1]?[0]?.reason == .length)
        #expect(simulation.started[2] == nil)
        for choice in 0..<2 {
            #expect(simulation.outcomes[2]?[choice]?.reason == .error)
            #expect(simulation.outcomes[2]?[choice]?.message?.contains("10 s") == true)
        }
    }
}
