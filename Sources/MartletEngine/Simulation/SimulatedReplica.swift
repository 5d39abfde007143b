import DequeModule
import MartletCore

/// One replica in virtual time: the real scheduler, and in place of a runner the time that its plans would take. The
/// stages of a pipeline take equal parts of a step's time, and have a step each under way.
final class SimulatedReplica {
    /// What a runner would know of a slot, as far as time depends on it.
    private struct SlotState {
        /// Of the simulation, by which its answer is known.
        let number: UInt64
        /// Positions computed.
        var length: Int
        var generatedCount: Int
        /// When its last token is there, which the next decode begins with.
        var tokenTime = 0.0
    }

    private struct Flight {
        let end: Double
        let result: StepResult
    }

    private var scheduler: Scheduler
    private let cost: StepCost
    private var slots: [SlotState?]
    private var flights = Deque<Flight>()
    /// When the first stage has done what was launched last.
    private var isFreeFrom = 0.0
    /// Time in which its first stage had work.
    private(set) var busySeconds = 0.0
    /// When it is to turn next, if nothing comes before.
    var wake: Double?

    init(limits: RunnerLimits, configuration: EngineConfiguration, cost: StepCost) {
        scheduler = Scheduler(limits: limits, configuration: configuration)
        self.cost = cost
        slots = Array(repeating: nil, count: limits.slotCount)
    }

    var statistics: EngineStatistics { scheduler.statistics }

    func add(
        _ request: GenerationRequest, number: UInt64, visionUnits: [Int], now: Double
    ) throws(EngineError) {
        try scheduler.add(request, id: RequestID(value: number), visionUnits: visionUnits, seed: number, now: now)
    }

    func prefillAhead(_ tokens: [TokenID], blockKeys: [BlockKey], now: Double) {
        _ = scheduler.prefillAhead(tokens, cacheSalt: "", blockKeys: blockKeys, now: now)
    }

    /// A turn of the engine's loop at `now`: what has landed is collected, and the next step launched if there is room.
    /// `answer` gives the tokens of a request. Sets `wake`.
    func turn(now: Double, answer: (_ number: UInt64, _ index: Int) -> TokenID) -> [EngineAction] {
        var actions: [EngineAction] = []
        while let first = flights.first, first.end <= now {
            flights.removeFirst()
            actions += scheduler.postprocess(first.result, now: now)
        }
        if flights.count < scheduler.limits.stageCount, isFreeFrom <= now, !scheduler.isIdle {
            let schedule = scheduler.schedule(now: now, cost: cost.model)
            actions += schedule.actions
            if let step = schedule.step {
                launch(step.plan, now: now, answer: answer)
            } else if flights.isEmpty, !scheduler.isIdle {
                // As the engine does with what cannot go on.
                actions += scheduler.endAll(message: "The engine could not go on with this request.", now: now)
            }
        }
        let hasRoom = !flights.isEmpty && flights.count < scheduler.limits.stageCount
        wake = [flights.first?.end, hasRoom && isFreeFrom > now ? isFreeFrom : nil].compactMap(\.self).min()
        return actions
    }

    private func launch(_ plan: StepPlan, now: Double, answer: (UInt64, Int) -> TokenID) {
        for admission in plan.admissions {
            slots[Int(admission.slot)] = SlotState(
                number: admission.seed, length: admission.cachedCount,
                generatedCount: admission.tokens.count - admission.promptCount)
        }
        var seconds = cost.model.step, start = now
        var rows: [StepResult.Row] = []
        rows.reserveCapacity(plan.decodes.count + plan.chunks.count)
        for work in plan.visionWork { seconds += Double(work.units.count) * cost.model.visionUnit }
        for chunk in plan.chunks {
            seconds += cost.model.seconds(rows: chunk.range.count, from: chunk.range.lowerBound)
            slots[Int(chunk.slot)]?.length = chunk.range.upperBound
            if chunk.samples { rows.append(row(chunk.slot, answer: answer)) }
        }
        for decode in plan.decodes {
            let position = slots[Int(decode.slot)]?.length ?? 0
            start = max(start, slots[Int(decode.slot)]?.tokenTime ?? 0)
            seconds += cost.decode(at: position)
            slots[Int(decode.slot)]?.length = position + 1
            rows.append(row(decode.slot, answer: answer))
        }
        let stage = seconds / Double(scheduler.limits.stageCount)
        let end = max(start + seconds, (flights.last?.end ?? 0) + stage)
        busySeconds += stage
        isFreeFrom = start + stage
        for row in rows { slots[Int(row.slot)]?.tokenTime = end }
        flights.append(Flight(end: end, result: StepResult(index: plan.index, rows: rows)))
    }

    private func row(_ slot: Slot, answer: (UInt64, Int) -> TokenID) -> StepResult.Row {
        guard let state = slots[Int(slot)] else { return StepResult.Row(slot: slot, tokens: []) }
        slots[Int(slot)]?.generatedCount += 1
        return StepResult.Row(slot: slot, tokens: [SampledToken(token: answer(state.number, state.generatedCount))])
    }
}
