import MartletCore

/// Prompts that nobody has sent yet: the blocks that a request beginning with one would find are computed while there
/// is nothing better to do. Nothing is sampled and nobody is told; what is done stands in the prefix cache, for whoever
/// begins alike under the same salt.
///
/// No request waits for one. While anything waits, none is resident: what it has computed is found by whoever waited
/// for just that. While anything runs, its rows lengthen no step by more than a tenth of the step's own cost: many on
/// a GPU, few on a CPU. Alone, its steps are a quarter of the target (or twice a step's own cost, where that is more),
/// the longest that a newcomer finds the engine busy with it. Blocks go back as soon as a request lacks one.
extension Scheduler {
    /// Takes a prompt, in place of the oldest if there are too many. False if it is of no use here. `blockKeys`: as
    /// far as they are known.
    package mutating func prefillAhead(
        _ tokens: [TokenID], cacheSalt: String, blockKeys: [BlockKey] = [], now: Double
    ) -> Bool {
        var request = GenerationRequest(prompt: Prompt(tokens: tokens), sampling: SamplingParameters())
        request.blockKeys = blockKeys
        guard configuration.enablePrefixCaching, configuration.enableChunkedPrefill, configuration.maxAheadPrompts > 0,
            tokens.count > limits.blockSize, tokens.count <= configuration.maxAheadTokens,
            (try? validate(request)) != nil
        else { return false }
        while let oldest = ahead.first,
            ahead.count >= configuration.maxAheadPrompts
                || ahead.reduce(tokens.count, { $0 + $1.promptCount }) > configuration.maxAheadTokens
        {
            endAhead(oldest)
        }
        let group = SequenceGroup(
            // Nobody's: requests begin at 1.
            id: RequestID(value: 0), promptCount: tokens.count, choiceCount: 0, arrivalTime: now,
            rootKey: BlockKey(modelIdentity: configuration.modelIdentity, salt: cacheSalt), sharesPrompt: true)
        ahead.append(
            TokenSequence(
                group: group, choice: 0, request: request, images: [], seed: 0, endTokens: [],
                tokenLimit: tokens.count, order: SequenceOrder(priority: .max, arrival: nextArrival, choice: 0),
                speculation: nil, isAhead: true))
        return true
    }

    /// Gives all of them up; what is computed stays.
    package mutating func endAllAhead() {
        for sequence in ahead { endAhead(sequence) }
    }

    /// Before a step: gives up what is too old, and makes room for whoever waits.
    mutating func settleAhead(now: Double) {
        for sequence in ahead where now - sequence.group.arrivalTime > configuration.aheadSeconds {
            endAhead(sequence)
        }
        if !waiting.isEmpty { _ = vacateAhead() }
    }

    /// Takes slot and blocks from who is resident; it goes on behind what it has computed. False if nobody is.
    mutating func vacateAhead() -> Bool {
        guard let resident = ahead.first(where: { $0.phase == .running }) else { return false }
        retire(resident, resumes: true)
        return true
    }

    /// Fills what everything else left of the step.
    mutating func scheduleAhead(into draft: inout StepDraft) {
        guard let oldest = ahead.first, waiting.isEmpty, !draft.hasPreempted else { return }
        if running.isEmpty {
            let cost = draft.budget.cost
            let seconds = max(configuration.stepTargetSeconds / 4, 2 * cost.step)
            draft.budget = StepBudget(cost: cost, rows: draft.budget.rowsLeft, seconds: seconds)
        } else if !draft.hasWork || oldest.slot == nil && freeSlots.isEmpty {
            return
        }
        while let sequence = ahead.first {
            if sequence.phase == .waiting, isCached(sequence) {
                endAhead(sequence)
            } else if sequence.phase == .running || sequence.phase == .waiting && admit(sequence, into: &draft) {
                return prefillAhead(sequence, into: &draft)
            } else if running.isEmpty, retiring.isEmpty, inFlight.isEmpty {
                // There never will be more room.
                endAhead(sequence)
            } else {
                return
            }
        }
    }

    private mutating func prefillAhead(_ sequence: TokenSequence, into draft: inout StepDraft) {
        guard let slot = sequence.slot else { return }
        let start = sequence.plannedCount
        let wanted = min(wantedCount(of: sequence) - start, configuration.longPrefillTokens ?? .max)
        let count =
            running.isEmpty
            ? draft.budget.takeRows(wanted: wanted, from: start)
            : draft.budget.takeSpareRows(wanted: wanted, from: start)
        if count > 0 { draft.addChunk(sequence, slot: slot, end: start + count) }
    }

    /// Positions to compute: the whole blocks in front of its last token. That one is never reached, so no chunk of it
    /// samples.
    private func wantedCount(of sequence: TokenSequence) -> Int {
        (sequence.promptCount - 1) / limits.blockSize * limits.blockSize
    }

    private func isCached(_ sequence: TokenSequence) -> Bool {
        let count = wantedCount(of: sequence) / limits.blockSize
        return store.match(Array(sequence.blockKeys(count, blockSize: limits.blockSize))).count == count
    }

    /// A step with it has landed.
    mutating func finishAhead(_ sequence: TokenSequence) {
        if sequence.phase == .running, sequence.computedCount >= wantedCount(of: sequence) { endAhead(sequence) }
    }

    /// It is over, done or not. What steps in flight still bring of it is not kept.
    mutating func endAhead(_ sequence: TokenSequence) {
        ahead.removeAll { $0 === sequence }
        retiring.removeAll { $0 === sequence }
        retire(sequence, resumes: false)
    }

    mutating func noteAheadBlock(_ block: BlockHandle) {
        aheadBlocks[block.id] = block.generation
        counters.aheadTokens += UInt64(limits.blockSize)
    }

    /// A request begins with `block`: counted once, if it was prefilled ahead.
    mutating func noteAheadHit(_ block: BlockHandle) {
        if aheadBlocks.removeValue(forKey: block.id) == block.generation {
            counters.aheadHitTokens += UInt64(limits.blockSize)
        }
    }
}
