import MartletCPU
import MartletEngine
import MartletModels

/// Copies of a planned layout that answer a load, in virtual time.
struct SimulationPlan {
    let plan: ParallelPlan
    let replicaCount: Int
    let maxRunningSequences: Int
    let maxWaitingRequests: Int
    let stepTargetSeconds: Double
    let prefillsNextTurn: Bool
    let target: SimulationReport.Target
    let cost: StepCost

    private static let blockSize = 16

    /// Throws `UsageError` where the layout does not fit, or is asked for pictures and cannot see.
    func setting() throws -> GroupSimulation.Setting {
        let fit = try plan.fit(plan.storages[0], plan.size)
        guard fit.commonTokens >= Self.blockSize else {
            throw UsageError("--simulate: the layout does not fit; see the plan without --simulate.")
        }
        let most = maxRunningSequences * ((plan.length + Self.blockSize - 1) / Self.blockSize)
        let blockCount = min(fit.commonTokens / Self.blockSize, most)
        let limits = RunnerLimits(
            blockSize: Self.blockSize, blockCount: blockCount, slotCount: maxRunningSequences,
            maxModelLength: min(plan.length, blockCount * Self.blockSize),
            vocabularyCount: plan.configuration.decoder.vocabularyRows, depth: plan.size.pipeline,
            stageCount: plan.size.pipeline, encoderCacheTokens: max(plan.length, PictureLimits.usualCacheTokens))
        var configuration = EngineConfiguration()
        configuration.maxRunningSequences = maxRunningSequences
        configuration.maxBatchedTokens = max(plan.rows, maxRunningSequences)
        configuration.maxWaitingRequests = maxWaitingRequests
        configuration.stepTargetSeconds = stepTargetSeconds
        let vision = plan.configuration.vision
        return GroupSimulation.Setting(
            limits: limits, configuration: configuration, cost: cost, replicaCount: replicaCount, target: target,
            prefillsNextTurn: prefillsNextTurn,
            visionUnits: { tokens in
                vision.map { $0.unitCount(patches: tokens * $0.mergeSize * $0.mergeSize) } ?? 0
            })
    }

    /// Sends the load and says what came of it.
    func run(_ load: SimulationArguments.Load, name: String) throws -> String {
        let setting = try setting()
        let report: SimulationReport
        switch load {
        case .trace(let requests):
            try checkPictures(requests.contains { $0.imageTokens > 0 })
            report = GroupSimulation.run(setting, requests)
        case .agents(let agents):
            try checkPictures(true)
            report = GroupSimulation.run(setting, agents)
        }
        return text(report, setting, name: name)
    }

    private func checkPictures(_ areAsked: Bool) throws(UsageError) {
        guard !areAsked || plan.configuration.vision != nil else {
            throw UsageError("--simulate: the load has pictures, and the model is a text model.")
        }
    }

    // MARK: Text

    private func text(_ report: SimulationReport, _ setting: GroupSimulation.Setting, name: String) -> String {
        let grouped = StartLog.grouped, fixed = StartLog.fixed
        let model = cost.model, limits = setting.limits
        let tokens = grouped(limits.blockCount * limits.blockSize)
        let good = report.requestCount == 0 ? 0 : Double(report.goodCount) / Double(report.requestCount) * 100
        let utilisations = report.utilisations
        func share(_ part: Double) -> String {
            let index = min(utilisations.count - 1, Int(part * Double(utilisations.count - 1) + 0.5))
            return fixed(utilisations[index] * 100, 1) + " %"
        }
        return """
            \(name), \(ParallelPlan.name(plan.storages[0], plan.configuration)): \(grouped(replicaCount)) \
            replica\(replicaCount == 1 ? "" : "s") of \(replicaSize), with \(maxRunningSequences) sequences and \
            \(tokens) tokens of KV cache\(replicaCount == 1 ? "" : " each")
            a step takes \(milliseconds(model.step)), a row \(milliseconds(model.row)), its look at a position \
            \(milliseconds(model.pair + cost.cachedPosition)), a vision unit \(milliseconds(model.visionUnit))

            requests     \(grouped(report.requestCount)) in \(fixed(report.seconds, 1)) s: \
            \(grouped(report.finishedCount)) answered, \(grouped(report.refusedCount)) refused\
            \(report.unfitCount == 0 ? "" : " (\(grouped(report.unfitCount)) too long)"), \
            \(grouped(report.failedCount)) failed
            throughput   \(fixed(report.perSecond(report.finishedCount), 2)) requests/s, \
            \(fixed(report.perSecond(report.outputTokens), 1)) output tokens/s
            goodput      \(fixed(report.perSecond(report.goodCount), 2)) requests/s: \(fixed(good, 1)) % have their \
            first token within \(number(target.firstToken)) s and the others in \(number(target.perToken)) s each
            prefix hits  \(fixed(report.hitShare * 100, 1)) % of prompt tokens
            preemptions  \(grouped(Int(report.statistics.preemptions)))
            utilisation  \(share(0)) least, \(share(0.5)) median, \(share(1)) most busy replica

            seconds                    p50        p95        p99        most
            time to first token \(row(report.firstToken))
            queueing            \(row(report.queueing))
            inter-token latency \(row(report.interToken))
            whole answer        \(row(report.endToEnd))

            """
    }

    private var replicaSize: String {
        var size = plan.size
        size.data = 1
        return size.name
    }

    private func row(_ values: Distribution) -> String {
        [values.percentile(0.5), values.percentile(0.95), values.percentile(0.99), values.maximum].map { value in
            let text = StartLog.fixed(value, 3)
            return String(repeating: " ", count: max(1, 11 - text.count)) + text
        }.joined()
    }

    private func milliseconds(_ seconds: Double) -> String {
        seconds * 1000 >= 0.01 ? StartLog.fixed(seconds * 1000, 2) + " ms" : StartLog.fixed(seconds * 1e9, 1) + " ns"
    }

    private func number(_ value: Double) -> String { value == value.rounded() ? StartLog.fixed(value, 0) : "\(value)" }
}
