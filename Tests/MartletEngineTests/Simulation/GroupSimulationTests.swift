import MartletCore
import MartletTestSupport
import Testing

@testable import MartletEngine

/// Virtual time, counted by hand.
@Suite struct GroupSimulationTests {
    /// A step takes 1, a row 0.01, a row's look at a position 0.0001, a vision unit 0.5.
    private static let cost = CostModel(step: 1, row: 0.01, pair: 0.0001, visionUnit: 0.5)

    private func setting(
        slots: Int = 4, replicas: Int = 1, cost: StepCost = StepCost(model: cost),
        target: SimulationReport.Target = .init(firstToken: .infinity, perToken: .infinity),
        _ change: (inout EngineConfiguration) -> Void = { _ in }
    ) -> GroupSimulation.Setting {
        var configuration = EngineConfiguration()
        configuration.stepTargetSeconds = 1000
        configuration.queueTimeoutSeconds = 1e9
        change(&configuration)
        let limits = RunnerLimits(
            blockSize: 4, blockCount: 500, slotCount: slots, maxModelLength: 400, vocabularyCount: 50_000,
            encoderCacheTokens: 200)
        return GroupSimulation.Setting(
            limits: limits, configuration: configuration, cost: cost, replicaCount: replicas, target: target,
            visionUnits: { $0 / 10 })
    }

    private func request(
        _ prompt: Int, _ output: Int, at arrival: Double = 0, _ change: (inout SimulatedRequest) -> Void = { _ in }
    ) -> SimulatedRequest {
        var request = SimulatedRequest(promptTokens: prompt, outputTokens: output)
        request.arrival = arrival
        change(&request)
        return request
    }

    private func near(_ found: Double, _ expected: Double) -> Bool { abs(found - expected) < 1e-9 }

    /// 10 rows look at 1, 2, … 10 positions.
    private static let prefill10 = 1 + 10 * 0.01 + 55 * 0.0001

    @Test func aRequestAlone() {
        let report = GroupSimulation.run(setting(), [request(10, 3, at: 5)])
        #expect(report.requestCount == 1 && report.finishedCount == 1 && report.outputTokens == 3)
        #expect(report.firstToken.count == 1 && near(report.firstToken.maximum, Self.prefill10))
        #expect(near(report.queueing.maximum, 0))
        // Decodes at positions 10 and 11.
        let decodes = [1 + 0.01 + 11 * 0.0001, 1 + 0.01 + 12 * 0.0001]
        #expect(report.interToken.count == 2 && near(report.interToken.sum, decodes[0] + decodes[1]))
        #expect(near(report.interToken.maximum, decodes[1]))
        let whole = Self.prefill10 + decodes[0] + decodes[1]
        #expect(near(report.endToEnd.maximum, whole) && near(report.seconds, whole))
        #expect(near(report.utilisations[0], 1))
        #expect(report.statistics.steps == 3 && report.statistics.usedBlockCount == 0)
    }

    @Test func twoAtOnceShareTheSteps() {
        let report = GroupSimulation.run(setting(), [request(10, 2), request(10, 2)])
        let together = 1 + 20 * 0.01 + 110 * 0.0001
        #expect(near(report.firstToken.maximum, together) && report.firstToken.count == 2)
        #expect(near(report.interToken.maximum, 1 + 2 * (0.01 + 11 * 0.0001)))
        #expect(near(report.seconds, together + 1 + 2 * (0.01 + 11 * 0.0001)))
    }

    @Test func whoFindsNoSlotWaits() {
        let report = GroupSimulation.run(setting(slots: 1), [request(10, 2), request(10, 1)])
        let first = Self.prefill10 + 1 + 0.01 + 11 * 0.0001
        #expect(near(report.queueing.maximum, first) && near(report.queueing.percentile(0.5), 0))
        #expect(near(report.firstToken.maximum, first + Self.prefill10))
        #expect(near(report.firstToken.percentile(0.5), Self.prefill10))
    }

    /// Who comes in the middle of a step waits for its end.
    @Test func aStepIsNotInterrupted() {
        let report = GroupSimulation.run(setting(), [request(10, 2), request(10, 1, at: 1)])
        let first = Self.prefill10
        // Decode of the one at position 10, prefill of the other.
        let second = 1 + 0.01 + 11 * 0.0001 + 10 * 0.01 + 55 * 0.0001
        #expect(near(report.queueing.maximum, first - 1))
        #expect(near(report.firstToken.maximum, first + second - 1))
    }

    @Test func aSharedPrefixIsCheaper() {
        func shared(_ at: Double) -> SimulatedRequest {
            request(20, 1, at: at) { ($0.prefix, $0.prefixTokens) = (7, 16) }
        }
        let report = GroupSimulation.run(setting(), [shared(0), shared(50)])
        let whole = 1 + 20 * 0.01 + 210 * 0.0001
        // Rows 16 ..< 20 look at 17, 18, 19 and 20.
        let rest = 1 + 4 * 0.01 + 74 * 0.0001
        #expect(near(report.firstToken.maximum, whole) && near(report.firstToken.sum, whole + rest))
        #expect(report.hitShare == 16.0 / 40)
        let off = GroupSimulation.run(setting { $0.enablePrefixCaching = false }, [shared(0), shared(50)])
        #expect(near(off.firstToken.sum, 2 * whole) && off.hitShare == 0)
    }

    /// A chat repeats what was answered; its blocks are found with the prompt's.
    @Test func aConversationFindsItsAnswers() {
        func turn(_ prompt: Int, at time: Double) -> SimulatedRequest {
            request(prompt, 8, at: time) {
                ($0.conversation, $0.conversationTokens, $0.keepsAnswer) = (3, prompt, true)
            }
        }
        let report = GroupSimulation.run(setting(), [turn(12, at: 0), turn(24, at: 100)])
        // 12 + 8 - 1 positions were computed: 4 blocks.
        #expect(report.statistics.prefixHitTokens == 16)
        #expect(near(report.firstToken.sum, 1 + 0.12 + 78 * 0.0001 + 1 + 0.08 + 164 * 0.0001))
    }

    @Test func picturesTakeTheirUnits() {
        let report = GroupSimulation.run(setting(), [request(30, 1) { $0.imageTokens = 20 }])
        #expect(near(report.firstToken.maximum, 1 + 30 * 0.01 + 465 * 0.0001 + 2 * 0.5))
        #expect(report.statistics.encodedImageTokens == 20)
    }

    @Test func moreReplicasWaitLess() {
        let load = (0..<12).map { _ in request(10, 2) }
        let one = GroupSimulation.run(setting(slots: 1), load)
        let three = GroupSimulation.run(setting(slots: 1, replicas: 3), load)
        let each = Self.prefill10 + 1 + 0.01 + 11 * 0.0001
        #expect(near(one.seconds, 12 * each) && near(three.seconds, 4 * each))
        #expect(three.utilisations.count == 3 && three.utilisations.allSatisfy { near($0, 1) })
        #expect(near(three.queueing.maximum, 3 * each) && near(one.queueing.maximum, 11 * each))
    }

    @Test func replicasKeepTheirConversations() {
        var load: [SimulatedRequest] = []
        for turn in 0..<5 {
            for name in 0..<3 {
                load.append(
                    request(40 + 20 * turn, 1, at: Double(turn) * 50 + Double(name)) {
                        ($0.conversation, $0.conversationTokens) = (UInt64(name), 36 + 20 * turn)
                    })
            }
        }
        let report = GroupSimulation.run(setting(replicas: 3), load)
        // Every turn but the first finds all of the last that it repeats.
        #expect(report.statistics.prefixHitTokens == 3 * (36 + 56 + 76 + 96))
    }

    @Test func aCacheReadTakesTime() {
        let plain = GroupSimulation.run(setting(), [request(10, 2)])
        let read = GroupSimulation.run(
            setting(cost: StepCost(model: Self.cost, cachedPosition: 0.002)), [request(10, 2)])
        #expect(near(read.firstToken.maximum, plain.firstToken.maximum))
        #expect(near(read.interToken.maximum - plain.interToken.maximum, 11 * 0.002))
    }

    /// Two stages have a step each under way: a token takes as long as through one, and there are twice as many. Rows
    /// cost so little that no prompt is worth cutting in two.
    @Test func stagesTakeTurns() {
        var setting = setting(cost: StepCost(model: CostModel(step: 2, row: 1e-12, pair: 0, visionUnit: 0)))
        (setting.limits.depth, setting.limits.stageCount) = (2, 2)
        let alone = GroupSimulation.run(setting, [request(4, 4)])
        #expect(near(alone.firstToken.maximum, 2) && near(alone.seconds, 8))
        #expect(near(alone.utilisations[0], 0.5))
        let two = GroupSimulation.run(setting, [request(4, 4), request(4, 4, at: 1)])
        #expect(near(two.seconds, 9) && near(two.firstToken.maximum, 2))
        #expect(near(two.interToken.maximum, 2) && near(two.utilisations[0], 8.0 / 9))
    }

    @Test func theTargetIsKeptOrNot() {
        let load = [request(10, 3), request(10, 3), request(10, 3)]
        func good(_ first: Double, _ per: Double) -> Int {
            let target = SimulationReport.Target(firstToken: first, perToken: per)
            return GroupSimulation.run(setting(slots: 1, target: target), load).goodCount
        }
        #expect(good(100, 100) == 3 && good(2, 100) == 1 && good(5, 100) == 2 && good(100, 1) == 0)
    }

    @Test func whatNobodyTakesIsRefused() {
        let load = [request(400, 1)] + (0..<6).map { request(10, 2, at: Double($0) / 100) }
        let report = GroupSimulation.run(setting(slots: 1, replicas: 2) { $0.maxWaitingRequests = 1 }, load)
        // Too long; then one runs and one waits at each replica.
        #expect(report.requestCount == 7 && report.refusedCount == 3 && report.finishedCount == 4)
        #expect(report.unfitCount == 1)
        let late = GroupSimulation.run(
            setting(slots: 1) { $0.queueTimeoutSeconds = 2 }, [request(10, 20), request(10, 1)])
        #expect(late.failedCount == 1 && late.finishedCount == 1)
    }

    @Test func preemptionsAreCounted() {
        var setting = setting()
        setting.limits.blockCount = 12
        let report = GroupSimulation.run(setting, [request(12, 20), request(12, 20)])
        #expect(report.finishedCount == 2 && report.outputTokens == 40)
        #expect(report.statistics.preemptions > 0)
    }

    @Test func agentsAreTheSameEachTime() {
        var setting = setting(slots: 8, replicas: 3)
        setting.limits.blockSize = 16
        setting.limits.blockCount = 4000
        setting.limits.maxModelLength = 16_384
        setting.limits.encoderCacheTokens = 16_384
        setting.limits.maxImageTokens = 16_384
        setting.configuration.stepTargetSeconds = 1
        setting.configuration.maxBatchedTokens = 2048
        setting.cost = StepCost(model: CostModel(step: 0.02, row: 1e-4, pair: 1e-9, visionUnit: 1e-4))
        let agents = PhoneAgents(agentCount: 12, stepCount: 5)
        let report = GroupSimulation.run(setting, agents)
        #expect(report == GroupSimulation.run(setting, agents))
        #expect(report.finishedCount == 60 && report.failedCount == 0 && report.refusedCount == 0)
        // The system prompt is found by all but a few, and what was said by all but the first steps.
        #expect(report.hitShare > 0.3 && report.hitShare < 0.55)
        #expect(report.statistics.aheadHitTokens > 0)
        setting.prefillsNextTurn = false
        let later = GroupSimulation.run(setting, agents)
        #expect(later.statistics.aheadTokens == 0 && later.firstToken.mean > report.firstToken.mean)
    }

    @Test func distributionsTellPercentiles() {
        var values = Distribution()
        #expect(values.percentile(0.5) == 0 && values.mean == 0)
        for value in 1...1000 { values.observe(Double(value)) }
        #expect(abs(values.percentile(0.5) / 500 - 1) < 0.01)
        #expect(abs(values.percentile(0.99) / 990 - 1) < 0.01)
        #expect(values.percentile(1) <= 1000 && values.maximum == 1000 && values.mean == 500.5)
        var same = Distribution()
        for _ in 0..<3 { same.observe(0.123) }
        #expect(abs(same.percentile(0.01) - 0.123) < 1e-15)
        same.observe(0)
        #expect(same.percentile(0.25) == 0 && same.count == 4)
    }

    @Test func eventsComeInOrder() {
        var queue = EventQueue<Int>()
        var random = SeededGenerator(seed: 3)
        var times: [Double] = []
        for index in 0..<500 {
            times.append(Double(Int.random(in: 0..<50, using: &random)))
            queue.put(index, at: times[index])
        }
        var found: [Int] = []
        while let (time, event) = queue.next() {
            #expect(time == times[event])
            found.append(event)
        }
        #expect(found == times.indices.sorted { (times[$0], $0) < (times[$1], $1) })
    }
}
