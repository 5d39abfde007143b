import MartletCore

/// What a step brought, and how sequences leave.
extension Scheduler {
    /// Takes the result of the oldest step in flight.
    package mutating func postprocess(_ result: StepResult, now: Double) -> [EngineAction] {
        guard let record = inFlight.first else { return [] }
        guard record.fits(result) else {
            return fail(stepIndex: record.plan.index, message: "The model's answer does not fit its step.", now: now)
        }
        inFlight.removeFirst()
        for member in record.members {
            member.land()
            if member.sequence.isLive { advance(member.sequence, to: member.end) }
            if member.sequence.isAhead { finishAhead(member.sequence) }
        }
        var actions: [EngineAction] = []
        for (row, found) in zip(record.rows, result.rows) where row.owner.isLive {
            actions += accept(found.tokens, for: row, now: now)
        }
        settleRetiring()
        return actions
    }

    /// The step could not be launched or collected: its sequences end with an error, once; the others go on. What
    /// the runner made of the plan is unknown, so releases are said again.
    package mutating func fail(stepIndex: UInt64, message: String, now: Double) -> [EngineAction] {
        guard let position = inFlight.firstIndex(where: { $0.plan.index == stepIndex }) else { return [] }
        let record = inFlight.remove(at: position)
        pendingReleases += record.plan.releases.filter { freeSlots.contains($0) && !pendingReleases.contains($0) }
        encoder.restore(releases: record.plan.imageReleases)
        for member in record.members { member.land() }
        var lost = record.members.map(\.sequence)
        for work in record.plan.visionWork {
            lost += running.filter { $0.heldImages.contains(work.image) }
            encoder.invalidate(work.image)
        }
        let actions = endAll(lost, reason: .error, message: message, now: now)
        settleRetiring()
        return actions
    }

    /// Ends every choice of a request. Unknown ids are ignored.
    package mutating func cancel(_ id: RequestID, now: Double) -> [EngineAction] {
        let leaving = (waiting + running + retiring).filter { $0.group.id == id }
        return endAll(leaving, reason: .cancelled, now: now)
    }

    /// Ends everything. Steps in flight are given up: call it only when none will be collected any more.
    package mutating func endAll(message: String, now: Double) -> [EngineAction] {
        for record in inFlight { for member in record.members { member.land() } }
        inFlight = []
        let actions = endAll(waiting + running + retiring + ahead, reason: .error, message: message, now: now)
        settleRetiring()
        return actions
    }

    /// Positions up to `count` are computed: their full blocks can be shared, images behind them can go.
    private mutating func advance(_ sequence: TokenSequence, to count: Int) {
        sequence.computedCount = max(sequence.computedCount, count)
        let full = sequence.computedCount / limits.blockSize
        if configuration.enablePrefixCaching, full > sequence.publishedBlockCount {
            let keys = sequence.blockKeys(full, blockSize: limits.blockSize)
            for index in sequence.publishedBlockCount..<full {
                let isNew = store.publish(sequence.table.blocks[index], as: keys[index])
                if isNew, sequence.isAhead { noteAheadBlock(sequence.table.blocks[index]) }
            }
            sequence.publishedBlockCount = full
        }
        for (index, image) in sequence.images.enumerated() where image.tokenRange.upperBound <= sequence.computedCount {
            if let id = sequence.heldImages[index] { encoder.release(id) }
            sequence.heldImages[index] = nil
        }
        if sequence.choice == 0, sequence.computedCount >= sequence.promptCount { sequence.group.isPromptShared = true }
    }

    /// Appends sampled tokens until one ends the sequence.
    private mutating func accept(_ found: [SampledToken], for row: StepRow, now: Double) -> [EngineAction] {
        let sequence = row.owner
        let known = found.allSatisfy { $0.token >= 0 && Int($0.token) < limits.vocabularyCount }
        guard !found.isEmpty, known else {
            return [end(sequence, reason: .error, message: "The model's output is not a number.", now: now)]
        }
        noteTokens(of: sequence, now: now)
        noteGuesses(row, accepted: found.count - 1)
        var accepted: [SampledToken] = []
        var ending: (reason: FinishReason, stopToken: TokenID?)?
        var seen = 0
        while seen < found.count, ending == nil {
            let token = found[seen]
            seen += 1
            if sequence.stopTokens.contains(token.token) {
                ending = (.stop, token.token)
                continue
            }
            sequence.tokens.append(token.token)
            accepted.append(token)
            if sequence.tokens.count >= sequence.tokenLimit { ending = (.length, nil) }
        }
        counters.generatedTokens += UInt64(seen)
        // Each but the last was the input of a row too: its position is computed.
        if seen > 1 {
            sequence.plannedCount += seen - 1
            advance(sequence, to: sequence.computedCount + seen - 1)
        }
        var actions: [EngineAction] = []
        if !accepted.isEmpty {
            actions.append(EngineAction(sequence.group.id, .tokens(choice: sequence.choice, accepted)))
        }
        if let ending {
            actions.append(end(sequence, reason: ending.reason, stopToken: ending.stopToken, now: now))
        }
        return actions
    }

    /// The sequence is over; its slot and blocks go as soon as no step in flight names it.
    mutating func end(
        _ sequence: TokenSequence, reason: FinishReason, stopToken: TokenID? = nil, message: String? = nil, now: Double
    ) -> EngineAction {
        waiting.removeAll { $0 === sequence }
        running.removeAll { $0 === sequence }
        retiring.removeAll { $0 === sequence }
        sequence.group.unfinishedCount -= 1
        if sequence.choice == 0 { sequence.group.isPromptShared = true }
        noteFinished(sequence, reason: reason, now: now)
        retire(sequence, resumes: false)
        return EngineAction(
            sequence.group.id,
            .finished(choice: sequence.choice, reason: reason, stopToken: stopToken, message: message))
    }

    /// Ends those of `sequences` that have not ended.
    mutating func endAll(
        _ sequences: [TokenSequence], reason: FinishReason, message: String? = nil, now: Double
    ) -> [EngineAction] {
        var actions: [EngineAction] = []
        for sequence in sequences where sequence.isLive {
            if sequence.isAhead {
                endAhead(sequence)
            } else {
                actions.append(end(sequence, reason: reason, message: message, now: now))
            }
        }
        return actions
    }

    /// Takes the sequence's place away, now or when the last step that names it has landed.
    mutating func retire(_ sequence: TokenSequence, resumes: Bool) {
        sequence.phase = .retiring(resumes: resumes)
        if sequence.inFlightSteps > 0 { retiring.append(sequence) } else { vacate(sequence, resumes: resumes) }
    }

    private mutating func settleRetiring() {
        let settled = retiring.filter { $0.inFlightSteps == 0 }
        retiring.removeAll { $0.inFlightSteps == 0 }
        for sequence in settled { vacate(sequence, resumes: sequence.phase == .retiring(resumes: true)) }
    }

    private mutating func vacate(_ sequence: TokenSequence, resumes: Bool) {
        for block in sequence.table.removeAll() { store.release(block) }
        for case let id? in sequence.heldImages { encoder.release(id) }
        sequence.heldImages = []
        sequence.publishedBlockCount = 0
        sequence.plannedCount = 0
        sequence.computedCount = 0
        sequence.admittedCount = 0
        if let slot = sequence.slot {
            pendingReleases.append(slot)
            freeSlots.append(slot)
            sequence.slot = nil
        }
        sequence.phase = resumes ? .waiting : .ended
        if resumes, !sequence.isAhead { waiting.insertInOrder(sequence) }
    }
}

extension TokenSequence {
    /// Not ended: what steps in flight bring still counts.
    var isLive: Bool {
        switch phase {
        case .waiting, .running, .retiring(resumes: true): true
        case .retiring(resumes: false), .ended: false
        }
    }
}
