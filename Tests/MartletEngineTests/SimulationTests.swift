import MartletCore
import MartletEngine
import MartletTestSupport
import Testing

/// Random traffic on small machines: whatever happens around it, a request gets what it gets alone, every block comes
/// back, and nobody waits for ever. A failing seed replays.
@Suite struct SimulationTests {
    @Test(arguments: UInt64(0)..<60) func everyOutputIsTheSoloOutput(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var traffic = RandomTraffic(using: &random)
        // Every other machine is a pipeline, of one stage at times.
        if seed % 2 == 1 { traffic.limits.stageCount = traffic.limits.depth }
        let simulation = traffic.simulation()
        var requests: [UInt64: GenerationRequest] = [:]
        var cancelled: Set<UInt64> = []
        for id in UInt64(1)...30 {
            let request = traffic.request(using: &random)
            if Bool.random(using: &random) {
                simulation.prefillAhead(request)
                for _ in 0..<Int.random(in: 0..<8, using: &random) { simulation.step() }
            }
            do {
                try simulation.add(request, id: id, seed: id)
                requests[id] = request
            } catch {
                #expect(error == .queueFull, "seed \(seed)")
            }
            for _ in 0..<Int.random(in: 0..<8, using: &random) { simulation.step() }
            if Int.random(in: 0..<8, using: &random) == 0, let victim = requests.keys.randomElement(using: &random) {
                simulation.cancel(victim)
                cancelled.insert(victim)
            }
        }
        simulation.run()
        simulation.scheduler.checkIntegrity()
        #expect(simulation.statistics.integrityFailures == 0)
        for (id, request) in requests {
            let solo = try Simulation.solo(
                request, seed: id, limits: traffic.limits, endTokens: traffic.configuration.endTokens,
                repetition: traffic.repetition)
            let found = simulation.outcomes[id] ?? [:]
            #expect(found.count == request.sampling.choiceCount, "seed \(seed) request \(id)")
            for (choice, outcome) in found {
                if cancelled.contains(id), outcome.reason == .cancelled {
                    let whole = solo[choice]?.tokens ?? []
                    #expect(outcome.tokens == Array(whole.prefix(outcome.tokens.count)), "seed \(seed) request \(id)")
                } else {
                    #expect(outcome == solo[choice], "seed \(seed) request \(id) choice \(choice)")
                }
            }
        }
    }

    @Test func theSimulationReachesItsCorners() throws {
        var preemptions: UInt64 = 0
        var hits: UInt64 = 0
        var imageHits: UInt64 = 0
        var accepted: UInt64 = 0
        var rejected: UInt64 = 0
        var evictions = 0
        var ahead = (computed: UInt64(0), found: UInt64(0))
        for seed in UInt64(0)..<40 {
            var random = SeededGenerator(seed: seed)
            var traffic = RandomTraffic(using: &random)
            let simulation = traffic.simulation()
            for id in UInt64(1)...30 {
                let request = traffic.request(using: &random)
                simulation.prefillAhead(request)
                simulation.step()
                try? simulation.add(request, id: id, seed: id)
                simulation.step()
            }
            simulation.run()
            preemptions += simulation.statistics.preemptions
            hits += simulation.statistics.prefixHitTokens
            imageHits += simulation.statistics.encoderHits
            ahead.computed += simulation.statistics.aheadTokens
            ahead.found += simulation.statistics.aheadHitTokens
            evictions += simulation.runner.script.counts.imageReleases
            if let speculation = simulation.statistics.speculation {
                accepted += speculation.acceptedTokens
                rejected += speculation.guessedTokens - speculation.acceptedTokens
            }
        }
        #expect(preemptions > 50 && hits > 500 && imageHits > 20 && evictions > 20)
        #expect(accepted > 500 && rejected > 500)
        #expect(ahead.computed > 200 && ahead.found > 20, "\(ahead)")
    }
}

/// A small machine and what is asked of it.
struct RandomTraffic {
    var limits: RunnerLimits
    var configuration = EngineConfiguration()
    let repetition: UInt64
    private let cost: CostModel
    private let prefixes: [[TokenID]]

    init(using random: inout SeededGenerator) {
        let blockSize = Int.random(in: 1...6, using: &random)
        limits = RunnerLimits(
            blockSize: blockSize, blockCount: .random(in: 90...160, using: &random) / blockSize,
            slotCount: .random(in: 1...9, using: &random), maxModelLength: .random(in: 60...120, using: &random),
            vocabularyCount: 50, depth: .random(in: 1...3, using: &random),
            encoderCacheTokens: .random(in: 24...30, using: &random))
        configuration.maxRunningSequences = .random(in: 1...9, using: &random)
        configuration.maxBatchedTokens = .random(in: 1...64, using: &random)
        configuration.longPrefillTokens = Bool.random(using: &random) ? .random(in: 1...16, using: &random) : nil
        configuration.stepTargetSeconds = .random(in: 0.001...0.05, using: &random)
        configuration.enablePrefixCaching = Int.random(in: 0..<4, using: &random) > 0
        configuration.enableChunkedPrefill = Int.random(in: 0..<4, using: &random) > 0
        configuration.schedulingPolicy = Bool.random(using: &random) ? .priority : .firstComeFirstServed
        configuration.endTokens = [7]
        configuration.queueTimeoutSeconds = 1e9
        configuration.aheadSeconds = .random(in: 20...2000, using: &random)
        configuration.maxWaitingRequests = .random(in: 5...40, using: &random)
        if Bool.random(using: &random) {
            let shortest = Int.random(in: 1...3, using: &random)
            configuration.speculation = SpeculationConfiguration(
                tokenCount: .random(in: 1...6, using: &random), shortestMatch: shortest,
                longestMatch: .random(in: shortest...4, using: &random),
                largestBatch: Bool.random(using: &random) ? .random(in: 1...9, using: &random) : nil)
        }
        repetition = .random(in: 0...8, using: &random)
        cost = CostModel(step: .random(in: 0...0.02, using: &random), row: 0.001, pair: 0, visionUnit: 0.001)
        prefixes = (0..<3).map { _ in (0..<24).map { _ in .random(in: 0..<50, using: &random) } }
    }

    func simulation() -> Simulation {
        let simulation = Simulation(limits: limits, configuration: configuration)
        simulation.runner.costModel = cost
        simulation.runner.script.directions.repetition = repetition
        return simulation
    }

    mutating func request(using random: inout SeededGenerator) -> GenerationRequest {
        var tokens = Array(prefixes[.random(in: 0..<3, using: &random)].prefix(.random(in: 0...24, using: &random)))
        var images: [PlacedImage] = []
        for _ in 0..<[0, 0, 1, 1, 2].randomElement(using: &random)! {
            let image = PreparedImage.tiny(
                rows: .random(in: 1...4, using: &random), columns: .random(in: 1...3, using: &random),
                seed: .random(in: 0...3, using: &random))
            images.append(PlacedImage(image: image, offset: tokens.count))
            tokens += Array(repeating: 49, count: image.tokenCount)
            tokens += (0..<Int.random(in: 0...5, using: &random)).map { _ in .random(in: 0..<3, using: &random) }
        }
        if tokens.isEmpty { tokens = [1] }
        var request = GenerationRequest(tokens, maxTokens: .random(in: 1...40, using: &random), images: images)
        request.sampling.temperature = [0, 0.5].randomElement(using: &random)!
        request.sampling.choiceCount = [1, 1, 1, 2, 3].randomElement(using: &random)!
        request.sampling.minTokens = [0, 0, 5].randomElement(using: &random)!
        request.sampling.stopTokens = Bool.random(using: &random) ? [3] : []
        request.sampling.ignoresEndOfGeneration = .random(using: &random)
        request.sampling.logprobCount = [nil, 0, 3].randomElement(using: &random)!
        request.priority = .random(in: -2...2, using: &random)
        request.cacheSalt = ["", "", "tenant"].randomElement(using: &random)!
        return request
    }
}
