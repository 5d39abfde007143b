import MartletCore
import MartletEngine
import MartletTestSupport
import Synchronization
import Testing

/// One request, one step, one fault: never the engine (a throw inside a step fails that step's
/// sequences, once).
@Suite struct FaultTests {
    @Test(arguments: 0..<12) func faultsTakeOnlyTheirStep(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var traffic = RandomTraffic(using: &random)
        traffic.limits.depth = Int(seed % 3) + 1
        if seed >= 6 { traffic.limits.stageCount = traffic.limits.depth }
        let script = RunnerScript()
        let simulation = Simulation(limits: traffic.limits, configuration: traffic.configuration, script: script)
        let faults = Atomic<Int>(0)
        let generator = Mutex(random)
        let strike: @Sendable (String, Int) -> (any Error)? = { name, odds in
            guard generator.withLock({ Int.random(in: 0..<odds, using: &$0) }) == 0 else { return nil }
            faults.add(1, ordering: .relaxed)
            return PlantedFault(name)
        }
        script.directions.launchFault = { _ in strike("launch", 12) }
        script.directions.midStepFault = { _ in strike("step", 12) }
        script.directions.collectFault = { _ in strike("collect", 12) }
        var requests: [UInt64: GenerationRequest] = [:]
        var id: UInt64 = 0
        while faults.load(ordering: .relaxed) < 90 {
            id += 1
            let request = traffic.request(using: &random)
            do {
                try simulation.add(request, id: id, seed: id)
                requests[id] = request
            } catch {
                #expect(error == .queueFull)
            }
            simulation.step()
        }
        script.directions = RunnerScript.Directions()
        simulation.run()
        var failed = 0
        for (id, request) in requests {
            let solo = try Simulation.solo(
                request, seed: id, limits: traffic.limits, endTokens: traffic.configuration.endTokens)
            for choice in 0..<request.sampling.choiceCount {
                let outcome = try #require(simulation.outcomes[id]?[choice], "seed \(seed) request \(id) got no end")
                if outcome.reason == .error {
                    failed += 1
                    #expect(outcome.message != nil)
                    let whole = solo[choice]?.tokens ?? []
                    #expect(outcome.tokens == Array(whole.prefix(outcome.tokens.count)), "seed \(seed) request \(id)")
                } else {
                    #expect(outcome == solo[choice], "seed \(seed) request \(id) choice \(choice)")
                }
            }
        }
        #expect(failed > 0)
        simulation.scheduler.checkIntegrity()
        #expect(simulation.statistics.integrityFailures == 0)
    }

    @Test func sequencesOutsideTheStepGoOn() throws {
        let script = RunnerScript()
        let simulation = Simulation(limits: .small(slotCount: 2), script: script)
        for id in UInt64(1)...3 { try simulation.add(GenerationRequest([TokenID(id)], maxTokens: 4), id: id) }
        simulation.step()
        script.directions.launchFault = { $0.index == 1 ? PlantedFault("once") : nil }
        simulation.run()
        #expect(simulation.outcomes[1]?[0]?.reason == .error && simulation.outcomes[2]?[0]?.reason == .error)
        #expect(simulation.outcomes[3]?[0]?.reason == .length)
    }

    /// A failed plan may have told the runner of nothing: what it released is released again.
    @Test func releasesOfAFailedPlanAreSaidAgain() throws {
        let script = RunnerScript()
        let hasFailed = Atomic<Bool>(false)
        script.directions.launchFault = { plan in
            guard !plan.imageReleases.isEmpty, !hasFailed.exchange(true, ordering: .relaxed) else { return nil }
            return PlantedFault("once")
        }
        let simulation = Simulation(limits: .small(encoderCacheTokens: 10), script: script)
        for id in UInt64(1)...6 {
            let image = PreparedImage.tiny(rows: 4, columns: 1, seed: UInt8(id))
            let request = GenerationRequest(
                [9, 9, 9, 9, 2], maxTokens: 1, images: [PlacedImage(image: image, offset: 0)])
            try simulation.add(request, id: id)
            simulation.run()
        }
        let failed = hasFailed.load(ordering: .relaxed)
        #expect(failed)
        #expect(script.counts.residentImages == 2 && script.counts.residentSlots == 1)
    }
}
