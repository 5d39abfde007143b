import MartletCore

/// Decides, step by step, what the runner does: a synchronous value without clock, thread or tensor. `schedule` gives
/// the next plan, `postprocess` takes what it brought; both return what clients are to be told.
///
/// Order of a step: decodes, then running prefills, then admissions, then guesses, each in `SequenceOrder`; last what
/// nobody asked for yet. Whoever is first in that order always moves, so nothing starves. When blocks run out the last
/// in that order is preempted: it gives up its blocks, keeps its tokens, and is prefilled again later.
package struct Scheduler: ~Copyable {
    package let limits: RunnerLimits
    package let configuration: EngineConfiguration
    var store: BlockStore
    var encoder: EncoderCache
    /// All three in `SequenceOrder`, but for `retiring`.
    package internal(set) var waiting: [TokenSequence] = []
    package internal(set) var running: [TokenSequence] = []
    package internal(set) var retiring: [TokenSequence] = []
    /// Prompts to prefill ahead, oldest first; the first of them may be resident.
    package internal(set) var ahead: [TokenSequence] = []
    /// Generations of the blocks that were prefilled ahead and not found yet.
    var aheadBlocks: [BlockID: UInt32] = [:]
    /// Launched steps, oldest first.
    var inFlight: [StepRecord] = []
    var freeSlots: [Slot]
    /// Slots whose sequences are gone and whose release no plan has named yet.
    var pendingReleases: [Slot] = []
    var nextStepIndex: UInt64 = 0
    var nextArrival: UInt64 = 0
    var counters = EngineStatistics()

    package init(limits: RunnerLimits, configuration: EngineConfiguration) {
        self.limits = limits
        self.configuration = configuration
        store = BlockStore(blockCount: limits.blockCount)
        encoder = EncoderCache(tokenBudget: limits.encoderCacheTokens, encodingCount: limits.encodingCount)
        freeSlots = (0..<limits.slotCount).reversed().map { Slot($0) }
        counters.speculation = configuration.speculation.map { SpeculationStatistics(tokenCount: $0.tokenCount) }
    }

    /// Nothing waits, runs or is in flight.
    package var isIdle: Bool {
        waiting.isEmpty && running.isEmpty && retiring.isEmpty && inFlight.isEmpty && ahead.isEmpty
    }
    package var inFlightCount: Int { inFlight.count }

    /// The next step, or nil if nothing can be launched before a step in flight is collected or a request comes.
    package mutating func schedule(now: Double, cost: CostModel) -> Schedule {
        var actions = expireWaiting(now: now)
        settleAhead(now: now)
        let rows = EngineConfiguration.stepRows(
            maxBatchedTokens: configuration.maxBatchedTokens, slots: limits.slotCount)
        var draft = StepDraft(
            index: nextStepIndex,
            budget: StepBudget(cost: cost, rows: rows, seconds: configuration.stepTargetSeconds))
        scheduleDecodes(into: &draft)
        draft.budget.reserveForPrefill(target: configuration.stepTargetSeconds)
        if isPipeline { draft.budget.sharePrefill(of: outstandingPrefillRows, over: limits.stageCount) }
        schedulePrefills(into: &draft)
        if !draft.hasPreempted { actions += admitWaiting(into: &draft, now: now) }
        scheduleGuesses(into: &draft)
        scheduleAhead(into: &draft)
        guard draft.hasWork else { return Schedule(step: nil, actions: actions) }
        return Schedule(step: commit(draft, now: now), actions: actions)
    }

    private mutating func scheduleDecodes(into draft: inout StepDraft) {
        let share = decodeShare
        for sequence in running where sequence.phase == .running && sequence.canDecode {
            if draft.decodeOwners.count >= share { return }
            guard let slot = sequence.slot, growTable(of: sequence, in: &draft) else { continue }
            draft.budget.takeDecode(position: sequence.plannedCount)
            draft.addDecode(sequence, slot: slot)
        }
    }

    private mutating func schedulePrefills(into draft: inout StepDraft) {
        for sequence in running where sequence.isPrefilling {
            if draft.budget.isExhausted { return }
            prefill(sequence, into: &draft)
        }
    }

    /// A block for the position that `sequence` decodes next, preempting from the end of the order if there is none.
    /// False if it has to sit this step out, or was itself the last.
    private mutating func growTable(of sequence: TokenSequence, in draft: inout StepDraft) -> Bool {
        guard sequence.plannedCount >= sequence.table.count * limits.blockSize else { return true }
        while true {
            if let block = store.allocate() {
                sequence.table.append(block)
                append([block], to: sequence, in: &draft)
                return true
            }
            if vacateAhead() { continue }
            // Blocks are on their way back already: taking more from others would be for nothing.
            if !retiring.isEmpty { return false }
            guard let victim = running.last else { return false }
            preempt(victim)
            draft.hasPreempted = true
            if victim === sequence { return false }
        }
    }

    func append(_ blocks: [BlockHandle], to sequence: TokenSequence, in draft: inout StepDraft) {
        guard let slot = sequence.slot, !blocks.isEmpty else { return }
        draft.plan.blockAppends.append(BlockAppend(slot: slot, blocks: blocks.map(\.id)))
    }

    private mutating func preempt(_ sequence: TokenSequence) {
        running.removeAll { $0 === sequence }
        sequence.preemptionCount += 1
        counters.preemptions += 1
        retire(sequence, resumes: true)
    }

    private mutating func commit(_ draft: StepDraft, now: Double) -> ScheduledStep {
        var plan = draft.plan
        plan.releases = pendingReleases
        pendingReleases = []
        plan.imageReleases = encoder.takeReleases()
        nextStepIndex += 1
        for member in draft.members {
            member.sequence.inFlightSteps += 1
            member.sequence.plannedCount = member.end
            if member.samples { member.sequence.inFlightTokens += 1 }
            if !member.sequence.isAhead { noteScheduled(member.sequence, now: now) }
        }
        inFlight.append(StepRecord(plan: plan, members: draft.members, rows: draft.rows))
        counters.steps += 1
        counters.histograms.iterationTokens.observe(Double(plan.rowCount))
        return ScheduledStep(registrations: encoder.takeRegistrations(), plan: plan)
    }
}
