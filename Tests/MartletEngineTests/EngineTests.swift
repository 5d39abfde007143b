import MartletCore
import MartletEngine
import MartletTestSupport
import Synchronization
import Testing

/// The actor: streams, cancellation, rest and end. What is decided is tested with the scheduler.
@Suite(.timeLimit(.minutes(2))) struct EngineTests {
    @Test func aRequestIsAnswered() async throws {
        try await withEngine { engine, script in
            let generation = try await engine.submit(GenerationRequest([1, 2, 3], maxTokens: 5))
            let events = await generation.events.reduce(into: [GenerationEvent]()) { $0.append($1) }
            #expect(events.count == 7)
            #expect(events.first == .started(promptTokens: 3, cachedTokens: 0))
            #expect(events.last == .finished(choice: 0, reason: .length, stopToken: nil, message: nil))
            #expect(script.counts.violations == [])
        }
    }

    @Test(arguments: [1, 2]) func manyStreamsAtOnceGetWhatTheyGetAlone(depth: Int) async throws {
        let limits = RunnerLimits.small(blockCount: 200, slotCount: 24, depth: depth)
        try await withEngine(limits) { engine, script in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<64 {
                    let request = GenerationRequest.numbered(index)
                    let solo = try Simulation.solo(request, seed: 5, limits: limits)
                    group.addTask {
                        let generation = try await engine.submit(request)
                        let answer = await Answer(generation)
                        #expect(answer.tokens == solo[0]?.tokens && answer.reason == solo[0]?.reason)
                    }
                }
                try await group.waitForAll()
            }
            try await expectClean(engine, script)
        }
    }

    @Test(arguments: [1, 2]) func everyBlockComesBackAfterDisconnects(depth: Int) async throws {
        let limits = RunnerLimits.small(blockCount: 100, slotCount: 16, depth: depth)
        try await withEngine(limits) { engine, script in
            await withTaskGroup(of: Void.self) { group in
                for index in 0..<200 {
                    group.addTask {
                        var request = GenerationRequest.numbered(index)
                        request.sampling.maxTokens = 60
                        guard let generation = try? await engine.submit(request) else { return }
                        switch index % 4 {
                        case 0: return  // dropped at once
                        case 1: await engine.cancel(generation.id)
                        case 2:
                            let reader = Task { for await _ in generation.events {} }
                            for _ in 0..<(index % 13) { await Task.yield() }
                            reader.cancel()
                        default:
                            var left = index % 11
                            for await _ in generation.events {
                                left -= 1
                                if left < 0 { break }
                            }
                        }
                    }
                }
            }
            try await expectClean(engine, script)
            let answer = await Answer(try await engine.submit(GenerationRequest.numbered(3)))
            #expect(answer.reason == .length)
        }
    }

    @Test func aThousandFaultsDoNotEndIt() async throws {
        let script = RunnerScript()
        let launches = Atomic<Int>(0)
        script.directions.launchFault = { _ in
            launches.add(1, ordering: .relaxed).newValue % 2 == 0 ? PlantedFault("launch") : nil
        }
        try await withEngine(script: script) { engine, script in
            var failed: UInt64 = 0
            while failed < 1000 {
                let generation = try await engine.submit(GenerationRequest([1, 2, 3], maxTokens: 3))
                let answer = await Answer(generation)
                #expect(answer.reason == .error || answer.reason == .length)
                if answer.reason == .error { failed += 1 }
            }
            script.directions.launchFault = nil
            try await expectClean(engine, script)
            #expect(await engine.statistics().finishedError == failed)
        }
    }

    @Test func threeFailuresInARowEndIt() async throws {
        let script = RunnerScript()
        script.directions.collectFault = { _ in PlantedFault("device lost") }
        let engine = Engine(
            configuration: EngineConfiguration(), runner: ScriptedModelRunner(limits: .small(), script: script))
        let loop = Task { await engine.run() }
        var last: Answer?
        for _ in 0..<3 {
            last = await Answer(try await engine.submit(GenerationRequest([1])))
            #expect(last?.reason == .error)
        }
        await loop.value
        guard case .dead(let reason) = engine.health() else {
            Issue.record("alive after \(String(describing: last?.message))")
            return
        }
        #expect(reason.contains("device lost"))
        await #expect(throws: EngineError.dead(reason: reason)) { try await engine.submit(GenerationRequest([1])) }
    }

    @Test func whoDoesNotReadIsCancelledAndTold() async throws {
        var configuration = EngineConfiguration()
        configuration.eventBufferLimit = 4
        let script = RunnerScript()
        script.directions.stepTime = .milliseconds(2)
        try await withEngine(configuration: configuration, script: script) { engine, script in
            var request = GenerationRequest([1], maxTokens: 400)
            request.sampling.choiceCount = 2
            let generation = try await engine.submit(request)
            try await expectClean(engine, script)
            // Long before its 400 tokens, which take 0.8 seconds.
            #expect(await engine.statistics().finishedCancelled == 2)
            let events = await generation.events.reduce(into: [GenerationEvent]()) { $0.append($1) }
            #expect(events.count == 6)
            for (choice, event) in events.suffix(2).enumerated() {
                #expect(
                    event
                        == .finished(
                            choice: choice, reason: .cancelled, stopToken: nil, message: "The client reads too slowly.")
                )
            }
        }
    }

    @Test func drainingLetsTheRunningFinish() async throws {
        try await withEngine { engine, _ in
            let generation = try await engine.submit(GenerationRequest([1], maxTokens: 50))
            await engine.drain(timeout: .seconds(60))
            await #expect(throws: EngineError.draining) { try await engine.submit(GenerationRequest([1])) }
            #expect(await Answer(generation).reason == .length)
        }
    }

    @Test func aCancelThatEmptiesTheEngineLetsItRest() async throws {
        let script = RunnerScript()
        script.directions.stepTime = .milliseconds(2)
        let time = Mutex(0.0)
        let engine = Engine(
            configuration: EngineConfiguration(), runner: ScriptedModelRunner(limits: .small(), script: script),
            clock: EngineClock { time.withLock { $0 } })
        let loop = Task { await engine.run() }
        let generation = try await engine.submit(GenerationRequest([1], maxTokens: 400))
        for await _ in generation.events.prefix(1) {}
        await engine.cancel(generation.id)
        // Were anybody left waiting, this would take its hour.
        await engine.drain(timeout: .seconds(3600))
        // Soon it is alive whenever one looks; a loop that still called itself busy would never be.
        var aliveInARow = 0
        while aliveInARow < 3 {
            time.withLock { $0 += 20 }
            aliveInARow = engine.health() == .alive ? aliveInARow + 1 : 0
            try await Task.sleep(for: .milliseconds(1))
        }
        loop.cancel()
        await loop.value
    }

    @Test func drainingEndsWhatTakesTooLong() async throws {
        let script = RunnerScript()
        script.directions.stepTime = .milliseconds(5)
        try await withEngine(script: script) { engine, _ in
            let generation = try await engine.submit(GenerationRequest([1], maxTokens: 400))
            await engine.drain(timeout: .milliseconds(50))
            let answer = await Answer(generation)
            #expect(answer.reason == .error && answer.message == "The server is shutting down.")
            #expect(await engine.statistics().usedBlockCount == 0)
        }
    }

    @Test func aStuckStepIsNoticedAndStillEnds() async throws {
        let script = RunnerScript()
        script.directions.isStalled = true
        let time = Mutex(0.0)
        let engine = Engine(
            configuration: EngineConfiguration(), runner: ScriptedModelRunner(limits: .small(), script: script),
            clock: EngineClock { time.withLock { $0 } }, silence: SilenceLimits(exitSeconds: 9))
        let loop = Task { await engine.run() }
        #expect(engine.health() == .alive)
        let generation = try await engine.submit(GenerationRequest([1]))
        var health = EngineHealth.alive
        while health == .alive {
            time.withLock { $0 += 1 }
            health = engine.health()
            try await Task.sleep(for: .milliseconds(1))
        }
        guard case .silent(let seconds) = health else {
            Issue.record("\(health)")
            return
        }
        #expect(seconds >= 1)
        func look(after seconds: Int) -> EngineHealth {
            for _ in 0..<seconds {
                time.withLock { $0 += 1 }
                health = engine.health()
            }
            return health
        }
        #expect(look(after: 5) == .stalled(seconds: seconds + 5))
        #expect(look(after: 3) == .lost(seconds: seconds + 8))
        loop.cancel()
        await loop.value
        #expect(await Answer(generation).reason == .error)
        #expect(engine.health() == .dead(reason: "The engine was stopped."))
    }

    /// Every choice of every request is told so, once, though the engine's thread never says anything again.
    @Test func aStuckEngineIsGivenUpFromOutside() async throws {
        let script = RunnerScript()
        let engine = Engine(
            configuration: EngineConfiguration(), runner: ScriptedModelRunner(limits: .small(), script: script))
        let loop = Task { await engine.run() }
        let answered = try await engine.submit(GenerationRequest([1], maxTokens: 1))
        #expect(await Answer(answered).reason == .length)
        script.directions.isStalled = true
        var request = GenerationRequest([1, 2], maxTokens: 3)
        request.sampling.choiceCount = 3
        let generation = try await engine.submit(request)
        engine.abandon(reason: "stuck")
        let ends = await generation.events.reduce(into: [GenerationEvent]()) {
            if case .finished = $1 { $0.append($1) }
        }
        #expect(
            ends == (0..<3).map { .finished(choice: $0, reason: .error, stopToken: nil, message: "stuck") })
        #expect(engine.health() == .dead(reason: "stuck"))
        await #expect(throws: EngineError.dead(reason: "stuck")) { try await engine.submit(request) }
        await loop.value
    }

    @Test func restingCostsNothing() async throws {
        let looks = Atomic<Int>(0)
        let engine = Engine(
            configuration: EngineConfiguration(), runner: ScriptedModelRunner(limits: .small()),
            clock: EngineClock { Double(looks.add(1, ordering: .relaxed).newValue) / 1000 })
        let loop = Task { await engine.run() }
        _ = await Answer(try await engine.submit(GenerationRequest([1])))
        // The loop looks at the clock at every turn: at rest it stops looking, or this never ends.
        var before = -1
        while looks.load(ordering: .relaxed) != before {
            before = looks.load(ordering: .relaxed)
            try await Task.sleep(for: .milliseconds(50))
        }
        loop.cancel()
        await loop.value
    }

    @Test func seedsAreDrawnInOrder() async throws {
        func answers(_ seed: UInt64) async throws -> [[TokenID]] {
            let engine = Engine(
                configuration: EngineConfiguration(), runner: ScriptedModelRunner(limits: .small()),
                seeds: SeedSource(seed: seed))
            let loop = Task { await engine.run() }
            var found: [[TokenID]] = []
            for _ in 0..<2 {
                var request = GenerationRequest([1, 2])
                request.sampling.temperature = 1
                found.append(await Answer(try await engine.submit(request)).tokens.map(\.token))
            }
            loop.cancel()
            await loop.value
            return found
        }
        let first = try await answers(1)
        let again = try await answers(1)
        let other = try await answers(2)
        #expect(first == again && first != other && first[0] != first[1])
    }
}

/// Runs `body` on an engine whose loop turns, and ends it.
private func withEngine(
    _ limits: RunnerLimits = .small(), configuration: EngineConfiguration = EngineConfiguration(),
    script: RunnerScript = RunnerScript(),
    _ body: (Engine<ScriptedModelRunner>, RunnerScript) async throws -> Void
) async throws {
    let engine = Engine(
        configuration: configuration, runner: ScriptedModelRunner(limits: limits, script: script),
        seeds: SeedSource(seed: 1))
    let loop = Task { await engine.run() }
    do {
        try await body(engine, script)
    } catch {
        loop.cancel()
        throw error
    }
    loop.cancel()
    await loop.value
}

/// Waits until nothing runs; then every block is back and every plan was right.
private func expectClean(_ engine: Engine<ScriptedModelRunner>, _ script: RunnerScript) async throws {
    var statistics = await engine.statistics()
    while statistics.runningCount + statistics.waitingCount + statistics.usedBlockCount > 0 {
        try await Task.sleep(for: .milliseconds(1))
        statistics = await engine.statistics()
    }
    #expect(statistics.integrityFailures == 0)
    #expect(script.counts.violations == [])
}

/// A stream read to its end.
private struct Answer {
    var tokens: [SampledToken] = []
    var reason: FinishReason?
    var message: String?

    init(_ generation: Generation) async {
        for await event in generation.events {
            switch event {
            case .started: break
            case .tokens(_, let more): tokens += more
            case .finished(_, let reason, _, let message):
                self.reason = reason
                self.message = message
            }
        }
    }
}

extension GenerationRequest {
    /// Requests that share beginnings and differ.
    fileprivate static func numbered(_ index: Int) -> GenerationRequest {
        let shared: [TokenID] = (0..<(index % 5 * 4)).map { TokenID($0) }
        return GenerationRequest(shared + [TokenID(index), 7, TokenID(index / 2)], maxTokens: 5 + index % 20)
    }
}
