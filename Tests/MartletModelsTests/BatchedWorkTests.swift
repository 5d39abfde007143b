import MartletCore
import MartletEngine
import Testing

@testable import MartletModels

/// One batched product serves all sequences of a step, and what the cache holds is not computed again.
@Suite struct BatchedWorkTests {
    private func request(_ tokens: [TokenID], maxTokens: Int) -> GenerationRequest {
        var sampling = SamplingParameters()
        sampling.temperature = 0
        sampling.maxTokens = maxTokens
        sampling.ignoresEndOfGeneration = true
        return GenerationRequest(prompt: Prompt(tokens: tokens), sampling: sampling)
    }

    /// Products a step, with `count` sequences that decode together.
    private func productsPerStep(count: Int) async throws -> Double {
        let requests = (0..<count).map { request([TokenID(20 + $0), 5, 6], maxTokens: 20) }
        return try await EngineUnderTest().counting { engine, counter in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for request in requests { group.addTask { _ = try await engine.complete(request) } }
                try await group.waitForAll()
            }
            return Double(counter.products) / Double(await engine.statistics().steps)
        }
    }

    @Test func productsAStepDoNotGrowWithSequences() async throws {
        let alone = try await productsPerStep(count: 1)
        // 2 layers of 4 products, and the head.
        #expect(alone == 9)
        #expect(try await productsPerStep(count: 16) <= 9)
    }

    @Test func aPrefixHitComputesOnlyTheRest() async throws {
        let prompt = (0..<60).map { TokenID($0 * 3 % 250) }
        try await EngineUnderTest().counting { engine, counter in
            let first = try await engine.complete(request(prompt, maxTokens: 1))[0]
            #expect(counter.rows == 60 && first.cachedTokens == 0)
            let second = try await engine.complete(request(prompt, maxTokens: 1))[0]
            #expect(second.cachedTokens == 48)
            #expect(counter.rows == 60 + 12)
            #expect(second == first)
        }
    }

    /// 64 streams at once and 200 clients that leave in the middle: every block comes back, every stream ends.
    @Test func leavingClientsLeaveNothingBehind() async throws {
        var drawing = try RequestDrawing(seed: 99)
        let stayers = (0..<64).map { _ in drawing.next() }, leavers = (0..<200).map { _ in drawing.next() }
        var alone: [[Outcome]] = []
        for request in stayers { alone.append(try await EngineUnderTest().run { try await $0.complete(request) }) }
        let expected = alone
        try await EngineUnderTest(threads: 2).run { engine in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, request) in stayers.enumerated() {
                    group.addTask {
                        let outcomes = try await engine.complete(request)
                        #expect(outcomes == expected[index])
                    }
                }
                for (index, request) in leavers.enumerated() {
                    group.addTask {
                        var seen = 0
                        // Leaving the loop drops the stream: that is the client going away.
                        for await _ in try await engine.submit(request).events {
                            seen += 1
                            if seen > index % 5 { break }
                        }
                    }
                }
                try await group.waitForAll()
            }
            var statistics = await engine.statistics()
            for _ in 0..<200 where statistics.runningCount + statistics.waitingCount > 0 {
                try await Task.sleep(for: .milliseconds(10))
                statistics = await engine.statistics()
            }
            #expect(statistics.usedBlockCount == 0)
            #expect(statistics.runningCount == 0 && statistics.waitingCount == 0)
            #expect(statistics.integrityFailures == 0)
            let ended = statistics.finishedStop + statistics.finishedLength + statistics.finishedCancelled
            #expect(ended == 264 && statistics.finishedError == 0)
        }
    }
}
