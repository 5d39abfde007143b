import MartletCore
import MartletEngine
import MartletTestSupport
import Synchronization
import Testing

/// Engines that share one front.
@Suite(.timeLimit(.minutes(2))) struct EngineGroupTests {
    private static func requests(_ count: Int) -> [GenerationRequest] {
        (0..<count).map { index in
            let shared = (0..<(index % 5 * 4)).map { TokenID($0) }
            return GenerationRequest(shared + [TokenID(index), 7, TokenID(index / 2)], maxTokens: 5 + index % 20)
        }
    }

    @Test(arguments: [1, 2, 3]) func everyRequestGetsWhatItGetsAlone(count: Int) async throws {
        try await withGroup(count) { group, scripts in
            let outcomes = try await withThrowingTaskGroup(of: Void.self) { tasks in
                for request in Self.requests(60) {
                    let solo = try Simulation.solo(request, limits: .small())
                    tasks.addTask {
                        let answer = await GroupAnswer(try await group.submit(request))
                        #expect(answer.tokens == solo[0]?.tokens && answer.reason == solo[0]?.reason)
                    }
                }
                try await tasks.waitForAll()
                return await group.statisticsByEngine()
            }
            #expect(outcomes.count == count)
            #expect(outcomes.allSatisfy { $0.finishedLength > 0 }, "all engines have worked")
            let total = await group.statistics()
            #expect(total.finishedLength == 60)
            #expect(total.histograms.endToEnd.total == 60)
            #expect(total.blockCount == count * 256 && total.blockSize == 4)
            for script in scripts { #expect(script.counts.violations == [] && script.counts.steps > 0) }
        }
    }

    @Test func aSecondTurnFindsItsFirst() async throws {
        try await withGroup(3) { group, _ in
            for kind in 0..<3 {
                let first = (0..<40).map { TokenID(kind * 100 + $0) }
                let one = await GroupAnswer(try await group.submit(GenerationRequest(first)))
                #expect(one.id?.engine == kind && one.cachedTokens == 0)
            }
            for kind in [1, 0, 2, 2, 0] {
                let second = (0..<40).map { TokenID(kind * 100 + $0) } + [TokenID(500 + kind), 1, 2]
                let two = await GroupAnswer(try await group.submit(GenerationRequest(second)))
                #expect(two.id?.engine == kind && two.cachedTokens == 40)
            }
        }
    }

    @Test func aheadGoesToTheSameEngine() async throws {
        try await withGroup(2) { group, _ in
            let first = (0..<20).map { TokenID($0) }
            let home = await GroupAnswer(try await group.submit(GenerationRequest(first))).id?.engine
            let next = first + (100..<120).map { TokenID($0) }
            await group.prefillAhead(next, cacheSalt: "")
            while await group.statistics().aheadTokens < 16 { try await Task.sleep(for: .milliseconds(1)) }
            let answer = await GroupAnswer(try await group.submit(GenerationRequest(next + [1])))
            #expect(answer.id?.engine == home && answer.cachedTokens == 36)
        }
    }

    @Test func cancelReachesItsEngine() async throws {
        try await withGroup(2, stepTime: .milliseconds(2)) { group, _ in
            let generations = [
                try await group.submit(GenerationRequest([1], maxTokens: 400)),
                try await group.submit(GenerationRequest([2], maxTokens: 400)),
            ]
            #expect(Set(generations.map(\.id)).count == 2)
            #expect(generations.map(\.id.engine) == [0, 1])
            await group.cancel(generations[1].id)
            await group.cancel(RequestID(engine: 7, number: 1))
            #expect(await GroupAnswer(generations[1]).reason == .cancelled)
            #expect(await group.statisticsByEngine().map(\.finishedCancelled) == [0, 1])
            await group.cancel(generations[0].id)
            #expect(await GroupAnswer(generations[0]).reason == .cancelled)
        }
    }

    /// Full is who has no room: the next goes elsewhere, and to nobody when all are full.
    @Test func refusedOnlyByAll() async throws {
        var configuration = EngineConfiguration()
        configuration.maxRunningSequences = 1
        configuration.maxWaitingRequests = 1
        try await withGroup(2, configuration: configuration, stepTime: .milliseconds(5)) { group, _ in
            // One prompt over and over: its home fills first.
            var taken: [Generation] = []
            var refusals = 0
            for _ in 0..<40 where refusals < 2 {
                do {
                    taken.append(try await group.submit(GenerationRequest(Array(0..<40), maxTokens: 400)))
                } catch {
                    #expect(error as? EngineError == .queueFull)
                    refusals += 1
                }
            }
            #expect(refusals == 2 && Set(taken.map(\.id.engine)) == [0, 1])
            #expect(taken.count <= 6)
            for generation in taken { await group.cancel(generation.id) }
        }
    }

    @Test func seedsDoNotDependOnTheEngine() async throws {
        func answers(_ count: Int) async throws -> [[TokenID]] {
            let found = Mutex<[[TokenID]]>([])
            try await withGroup(count) { group, _ in
                for _ in 0..<4 {
                    var request = GenerationRequest([1, 2])
                    request.sampling.temperature = 1
                    let tokens = await GroupAnswer(try await group.submit(request)).tokens.map(\.token)
                    found.withLock { $0.append(tokens) }
                }
            }
            return found.withLock { $0 }
        }
        let two = try await answers(2)
        #expect(try await answers(3) == two && Set(two).count > 1)
    }

    @Test func oneDeathEndsAll() async throws {
        let script = RunnerScript()
        script.directions.collectFault = { _ in RunnerLost(reason: "rank 1 is gone") }
        let runners = [RunnerScript(), script].map { ScriptedModelRunner(limits: .small(), script: $0) }
        let group = EngineGroup(configuration: EngineConfiguration(), runners: runners)
        #expect(group.health() == .alive)
        let loop = Task { await group.run() }
        let doomed = [
            try await group.submit(GenerationRequest([1], maxTokens: 4)),
            try await group.submit(GenerationRequest([2], maxTokens: 4)),
        ]
        #expect(await GroupAnswer(doomed[1]).reason == .error)
        // Nobody cancelled it: the group has ended by itself.
        await loop.value
        guard case .dead = group.health() else { return #expect(Bool(false), "alive") }
        await #expect(throws: EngineError.self) { try await group.submit(GenerationRequest([1])) }
        await group.drain(timeout: .seconds(1))
    }

    @Test func drainingDrainsAll() async throws {
        try await withGroup(2) { group, _ in
            let generations = [
                try await group.submit(GenerationRequest([1], maxTokens: 50)),
                try await group.submit(GenerationRequest([2], maxTokens: 50)),
            ]
            await group.drain(timeout: .seconds(60))
            await #expect(throws: EngineError.draining) { try await group.submit(GenerationRequest([1])) }
            for generation in generations { #expect(await GroupAnswer(generation).reason == .length) }
        }
    }

    @Test func totalsAddUp() {
        var one = EngineStatistics(), two = EngineStatistics()
        one.runningCount = 2
        two.runningCount = 3
        one.generatedTokens = 7
        two.generatedTokens = 5
        one.forwardSeconds = 0.5
        two.forwardSeconds = 0.25
        one.histograms.queueTime.observe(0.4)
        two.histograms.queueTime.observe(7)
        var guesses = SpeculationStatistics(tokenCount: 2)
        guesses.note(guessed: 2, accepted: 1)
        one.speculation = guesses
        two.speculation = guesses
        let total = EngineStatistics(total: [one, two])
        #expect(total.runningCount == 5 && total.generatedTokens == 12 && total.forwardSeconds == 0.75)
        #expect(total.histograms.queueTime.total == 2 && total.histograms.queueTime.sum == 7.4)
        #expect(total.speculation?.guessedTokens == 4 && total.speculation?.acceptedByPosition == [2, 0])
        #expect(EngineStatistics(total: [one]) == one)
    }
}

/// Runs `body` on a group whose engines turn, and ends it.
private func withGroup(
    _ count: Int, configuration: EngineConfiguration = EngineConfiguration(), stepTime: Duration = .zero,
    _ body: (EngineGroup<ScriptedModelRunner>, [RunnerScript]) async throws -> Void
) async throws {
    let scripts = (0..<count).map { _ in RunnerScript() }
    for script in scripts { script.directions.stepTime = stepTime }
    let runners = scripts.map { ScriptedModelRunner(limits: .small(), script: $0) }
    let group = EngineGroup(configuration: configuration, runners: runners, seeds: SeedSource(seed: 1))
    let loop = Task { await group.run() }
    do {
        try await body(group, scripts)
    } catch {
        loop.cancel()
        throw error
    }
    loop.cancel()
    await loop.value
}

/// A stream read to its end, and where it came from.
private struct GroupAnswer {
    var id: RequestID?
    var cachedTokens = 0
    var tokens: [SampledToken] = []
    var reason: FinishReason?

    init(_ generation: Generation) async {
        id = generation.id
        for await event in generation.events {
            switch event {
            case .started(_, let cached): cachedTokens = cached
            case .tokens(_, let more): tokens += more
            case .finished(_, let reason, _, _): self.reason = reason
            }
        }
    }
}
