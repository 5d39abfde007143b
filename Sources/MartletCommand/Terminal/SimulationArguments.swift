import ArgumentParser
import MartletCPU
import MartletEngine
import MartletModels
import MartletTensor

/// What `martlet plan --simulate` is asked.
struct SimulationArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Send a load to copies of the layout.", valueName: "FILE|agents:N[:STEPS]"))
    var simulate: String?
    @Option(help: ArgumentHelp("Copies that answer it; default: --dp.", valueName: "n")) var replicas: Int?
    @Option(help: ArgumentHelp("What a device computes; measure: this machine.", valueName: "TFLOPS|measure"))
    var flops: String?
    @Option(
        help: ArgumentHelp(
            "What work costs instead: a step, a row, a row's look at a position and a vision unit, in milliseconds"
                + " (`martlet bench` prints them).", valueName: "STEP,ROW,PAIR,UNIT"))
    var cost: String?
    @Option(help: "Sequences of one copy that run at once; default: as serve, 16, on GPUs 64.") var maxNumSeqs: Int?
    @Option(help: "Waiting requests of one copy, beyond which others are refused.") var maxNumQueuedReqs = 256
    @Option(help: ArgumentHelp("Most seconds of a step; default: as serve, 1, on GPUs 0.05.", valueName: "seconds"))
    var stepTarget: Double?
    @Flag(inversion: .prefixedNo, help: "After an agent's step, prefill what its next request begins with.")
    var prefillNextTurn = true
    @Option(help: ArgumentHelp("A good answer's first token comes within.", valueName: "seconds")) var ttft = 2.0
    @Option(help: ArgumentHelp("A good answer's other tokens take, on average.", valueName: "seconds")) var tpot = 0.2

    /// What is sent; any load.
    enum Load {
        case trace([SimulatedRequest])
        case agents(PhoneAgents)
    }

    /// nil: nothing is to be simulated. Throws `UsageError`.
    func load() throws -> Load? {
        guard let simulate else { return nil }
        guard simulate.hasPrefix("agents:") else { return .trace(try RequestTrace.read(simulate)) }
        let words = simulate.split(separator: ":", omittingEmptySubsequences: false).dropFirst()
        let counts = words.map { CountNotation.read(String($0)) ?? 0 }
        let steps = counts.count == 2 ? counts[1] : 20
        guard (1...2).contains(counts.count), (1...RequestTrace.maxRequests).contains(counts[0]),
            (1...1000).contains(steps), counts[0] * steps <= RequestTrace.maxRequests
        else {
            throw UsageError(
                "--simulate: '\(simulate)' is not agents:N[:STEPS] of \(RequestTrace.maxRequests) steps in all.")
        }
        return .agents(PhoneAgents(agentCount: counts[0], stepCount: steps))
    }

    /// Throws `UsageError`; `ParallelError` where the model cannot be shared out so.
    func plan(_ plan: ParallelPlan) throws -> SimulationPlan {
        let replicas = replicas ?? plan.size.data, maxNumSeqs = maxNumSeqs ?? plan.device.usualSequences
        for (flag, count, range) in [
            ("--replicas", replicas, 1...1000), ("--max-num-seqs", maxNumSeqs, 1...1024),
            ("--max-num-queued-reqs", maxNumQueuedReqs, 1...1_000_000),
        ] where !range.contains(count) {
            throw UsageError("\(flag) is between \(range.lowerBound) and \(range.upperBound).")
        }
        guard ttft > 0, tpot > 0 else { throw UsageError("--ttft and --tpot are seconds above 0.") }
        let target = stepTarget ?? plan.device.usualStepSeconds
        guard target > 0, target <= 3600 else { throw UsageError("--step-target is in seconds, above 0.") }
        let given = try self.given()
        guard given == nil || (flops == nil && plan.speeds == nil) else {
            throw UsageError("--cost says it all: leave out --bandwidth and --flops.")
        }
        return SimulationPlan(
            plan: plan, replicaCount: replicas, maxRunningSequences: maxNumSeqs, maxWaitingRequests: maxNumQueuedReqs,
            stepTargetSeconds: target, prefillsNextTurn: prefillNextTurn,
            target: .init(firstToken: ttft, perToken: tpot), cost: try given ?? cost(of: plan))
    }

    private func given() throws(UsageError) -> StepCost? {
        guard let cost else { return nil }
        let numbers = cost.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) ?? -1 }
        guard numbers.count == 4, numbers.allSatisfy({ $0 >= 0 && $0 <= 1e9 }), numbers[0] + numbers[1] > 0 else {
            throw UsageError("--cost: '\(cost)' is not STEP,ROW,PAIR,UNIT in milliseconds such as 80,9.5,0.0004,60.")
        }
        let seconds = numbers.map { $0 / 1000 }
        return StepCost(
            model: CostModel(step: seconds[0], row: seconds[1], pair: seconds[2], visionUnit: seconds[3]))
    }

    /// By --bandwidth and --flops; without either, by this machine's own.
    private func cost(of plan: ParallelPlan) throws -> StepCost {
        guard (flops == nil) == (plan.speeds == nil) else {
            throw UsageError("--simulate needs both --bandwidth and --flops, or --cost, or none of them.")
        }
        var plan = plan
        if plan.speeds == nil { plan.speeds = try .measured() }
        let fit = try plan.fit(plan.storages[0], plan.size)
        guard let speeds = plan.speeds, let time = fit.time else { throw UsageError("--bandwidth is missing.") }
        let rate = try operationsPerSecond(plan)
        return StepCost(
            fit.layout, traffic: fit.traffic, time: time, speeds: speeds, operationsPerSecond: rate,
            workload: RunnerWorkload(
                ModelFootprint(plan.configuration), visionStripRows: VisionTower<CPUBackend>.stripRows))
    }

    private func operationsPerSecond(_ plan: ParallelPlan) throws -> Double {
        if let flops, flops != "measure" {
            guard let value = Double(flops), value > 0, value <= 1e6 else {
                throw UsageError("--flops: '\(flops)' is neither a number of TFLOPS above 0 nor 'measure'.")
            }
            return value * 1e12
        }
        let bench = KernelBench(
            backend: try CPUBackend(activations: .int8), repeats: 3, seconds: 0.1, spreadBytes: 32 << 20)
        let type = plan.storages[0].quantization == .none ? plan.configuration.dtype : .q8_0
        return try bench.product(type, rows: 4096, columns: 4096, batches: [64])[0].operationsPerSecond
    }
}

extension DeviceSpeeds {
    /// This machine's memory.
    static func measured() throws -> DeviceSpeeds {
        let bench = KernelBench(backend: try CPUBackend(), repeats: 5, seconds: 0.1)
        return DeviceSpeeds(memory: try bench.readSpeed(), link: nil, linkLatency: 0)
    }
}
