import MartletCore
import MartletEngine
import MartletTestSupport
import Testing

/// The engine's loop without its thread: every step by hand, every invariant after it.
final class Simulation {
    struct Outcome: Equatable {
        var tokens: [SampledToken] = []
        var reason: FinishReason?
        var stopToken: TokenID?
        var message: String?
    }

    var scheduler: Scheduler
    let runner: ScriptedModelRunner
    var tickets: [StepTicket] = []
    var now = 0.0
    /// Outcomes by request, then by choice.
    var outcomes: [UInt64: [Int: Outcome]] = [:]
    var started: [UInt64: (prompt: Int, cached: Int)] = [:]
    var plans: [StepPlan] = []
    var keepsPlans = false
    var checksEveryStep = true

    init(
        limits: RunnerLimits = .small(), configuration: EngineConfiguration = EngineConfiguration(),
        script: RunnerScript = RunnerScript()
    ) {
        runner = ScriptedModelRunner(limits: limits, script: script)
        scheduler = Scheduler(limits: limits, configuration: configuration)
    }

    var isIdle: Bool { scheduler.isIdle }
    var statistics: EngineStatistics { scheduler.statistics }

    func add(_ request: GenerationRequest, id: UInt64, seed: UInt64 = 0) throws(EngineError) {
        try scheduler.add(
            request, id: RequestID(value: id),
            visionUnits: request.prompt.images.map { runner.visionUnitCount(of: $0.image) }, seed: seed, now: now)
    }

    /// What stands before the first image of a request that will come.
    func prefillAhead(_ request: GenerationRequest) {
        let tokens = request.prompt.tokens.prefix(request.prompt.images.first?.offset ?? Int.max)
        _ = scheduler.prefillAhead(Array(tokens), cacheSalt: request.cacheSalt, now: now)
    }

    func cancel(_ id: UInt64) { take(scheduler.cancel(RequestID(value: id), now: now)) }

    /// One turn of the loop. False if there was nothing to do.
    @discardableResult func step() -> Bool {
        now += 1
        let schedule = scheduler.schedule(now: now, cost: runner.costModel)
        take(schedule.actions)
        if let step = schedule.step { launch(step) }
        if tickets.count >= runner.limits.depth || (schedule.step == nil && !tickets.isEmpty) {
            collect()
        } else if schedule.step == nil {
            #expect(isIdle, "work is there and nothing moves")
            return false
        }
        if checksEveryStep { check() }
        return true
    }

    // Plain tests around `Issue.record`: `#expect` is too slow for what runs a hundred thousand times.
    private func check() {
        let discrepancies = scheduler.discrepancies()
        if !discrepancies.isEmpty { Issue.record("\(discrepancies)") }
        let violations = runner.script.counts.violations
        if !violations.isEmpty { Issue.record("\(violations)") }
    }

    func run(limit: Int = 20_000) {
        var steps = 0
        while step() {
            steps += 1
            guard steps < limit else {
                Issue.record("not idle after \(limit) steps")
                return
            }
        }
        #expect(isIdle)
        #expect(statistics.usedBlockCount == 0)
    }

    private func launch(_ step: ScheduledStep) {
        if keepsPlans { plans.append(step.plan) }
        do {
            for registration in step.registrations { try runner.register(registration.image, as: registration.id) }
            tickets.append(try runner.launch(step.plan))
        } catch {
            take(scheduler.fail(stepIndex: step.plan.index, message: "\(error)", now: now))
        }
    }

    private func collect() {
        let ticket = tickets.removeFirst()
        do {
            take(scheduler.postprocess(try runner.collect(ticket), now: now))
        } catch {
            take(scheduler.fail(stepIndex: ticket.index, message: "\(error)", now: now))
        }
    }

    private func take(_ actions: [EngineAction]) {
        for action in actions {
            let id = action.request.value
            switch action.event {
            case .started(let prompt, let cached):
                #expect(started[id] == nil, "started twice")
                started[id] = (prompt, cached)
            case .tokens(let choice, let tokens):
                if started[id] == nil || tokens.isEmpty || outcomes[id]?[choice]?.reason != nil {
                    Issue.record("tokens before the start or after the end")
                }
                outcomes[id, default: [:]][choice, default: Outcome()].tokens += tokens
            case .finished(let choice, let reason, let stopToken, let message):
                #expect(outcomes[id]?[choice]?.reason == nil, "finished twice")
                var outcome = outcomes[id]?[choice] ?? Outcome()
                outcome.reason = reason
                outcome.stopToken = stopToken
                outcome.message = message
                outcomes[id, default: [:]][choice] = outcome
            }
        }
    }

    /// What `request` gives when nothing else runs, by choice.
    static func solo(
        _ request: GenerationRequest, seed: UInt64 = 0, limits: RunnerLimits, endTokens: [TokenID] = [],
        repetition: UInt64 = 0
    ) throws -> [Int: Outcome] {
        var limits = limits
        limits.depth = 1
        limits.stageCount = 1
        var configuration = EngineConfiguration()
        configuration.endTokens = endTokens
        configuration.enablePrefixCaching = false
        let simulation = Simulation(limits: limits, configuration: configuration)
        simulation.checksEveryStep = false
        simulation.runner.script.directions.repetition = repetition
        try simulation.add(request, id: 1, seed: seed)
        simulation.run()
        return simulation.outcomes[1] ?? [:]
    }
}

extension GenerationRequest {
    init(_ tokens: [TokenID], maxTokens: Int = 8, images: [PlacedImage] = []) {
        self.init(prompt: Prompt(tokens: tokens, images: images), sampling: SamplingParameters())
        sampling.temperature = 0
        sampling.maxTokens = maxTokens
    }
}
