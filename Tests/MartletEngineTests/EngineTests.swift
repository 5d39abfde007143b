import MartletCore
import MartletEngine
import MartletTestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct EngineTests {
    @Test func answersOneRequest() async throws {
        let runner = ScriptedModelRunner(limits: .small())
        let script = runner.script
        let engine = Engine(configuration: EngineConfiguration(), runner: runner)
        let loop = Task { await engine.run() }
        var request = GenerationRequest(prompt: Prompt(tokens: [1, 2, 3]), sampling: SamplingParameters())
        request.sampling.maxTokens = 5
        let generation = try await engine.submit(request)
        var events: [GenerationEvent] = []
        for await event in generation.events { events.append(event) }
        #expect(events.count == 7)
        #expect(events.first == .started(promptTokens: 3, cachedTokens: 0))
        #expect(events.last == .finished(choice: 0, reason: .length, stopToken: nil, message: nil))
        #expect(script.counts.violations == [])
        loop.cancel()
        await loop.value
    }
}

extension RunnerLimits {
    static func small(
        blockSize: Int = 4, blockCount: Int = 256, slotCount: Int = 64, maxModelLength: Int = 512, depth: Int = 1
    ) -> RunnerLimits {
        RunnerLimits(
            blockSize: blockSize, blockCount: blockCount, slotCount: slotCount, maxModelLength: maxModelLength,
            vocabularyCount: 1000, depth: depth, encoderCacheTokens: 256)
    }
}
