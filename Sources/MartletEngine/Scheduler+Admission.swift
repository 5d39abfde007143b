import MartletCore

/// From waiting to running.
extension Scheduler {
    /// Admits in order while there is room. The first that does not fit holds back those behind it: overtaking
    /// would starve the large.
    mutating func admitWaiting(into draft: inout StepDraft, now: Double) -> [EngineAction] {
        var actions: [EngineAction] = []
        var index = 0
        while index < waiting.count, running.count < configuration.maxRunningSequences, !draft.budget.isExhausted {
            let sequence = waiting[index]
            // A later choice takes the prompt from the prefix cache, once choice 0 has put it there.
            guard sequence.choice == 0 || sequence.group.isPromptShared else {
                index += 1
                continue
            }
            guard admit(sequence, into: &draft) else { break }
            waiting.remove(at: index)
            if !sequence.group.isStarted {
                sequence.group.isStarted = true
                actions.append(
                    EngineAction(
                        sequence.group.id,
                        .started(promptTokens: sequence.promptCount, cachedTokens: sequence.plannedCount)))
            }
            prefill(sequence, into: &draft)
        }
        return actions
    }

    /// Slot, blocks for all its tokens, and images: all of them or nothing.
    mutating func admit(_ sequence: TokenSequence, into draft: inout StepDraft) -> Bool {
        guard let slot = freeSlots.last else { return false }
        let count = sequence.tokens.count
        // A full hit still computes the last token: its block is not taken from the cache.
        let reusable = configuration.enablePrefixCaching ? (count - 1) / limits.blockSize : 0
        let hits = store.match(Array(sequence.blockKeys(reusable, blockSize: limits.blockSize)))
        let cached = hits.count * limits.blockSize
        let missing = BlockTable.blockCount(positions: count, blockSize: limits.blockSize) - hits.count
        // One more block a running sequence, or the newcomer is preempted as soon as the others grow.
        guard store.availableCount - store.evictableCount(among: hits) >= missing + running.count else { return false }
        let needed = sequence.images.filter { $0.tokenRange.upperBound > cached }
        guard encoder.canAcquire(needed) else { return false }

        for block in hits where store.retain(block) {
            sequence.table.append(block)
            if !sequence.isAhead { noteAheadHit(block) }
        }
        for _ in 0..<missing {
            if let block = store.allocate() { sequence.table.append(block) }
        }
        freeSlots.removeLast()
        sequence.slot = slot
        sequence.phase = .running
        sequence.admittedCount = count
        sequence.plannedCount = cached
        sequence.computedCount = cached
        sequence.publishedBlockCount = hits.count
        if !sequence.isAhead { countQueries(sequence, cached: cached, images: needed) }
        draft.plan.admissions.append(admission(of: sequence, slot: slot, cached: cached))
        append(sequence.table.blocks, to: sequence, in: &draft)
        draft.name(sequence, end: cached, samples: false)
        if !sequence.isAhead { running.insertInOrder(sequence) }
        return true
    }

    /// Acquires its images and says everything the runner keeps for a resident sequence.
    private mutating func admission(of sequence: TokenSequence, slot: Slot, cached: Int) -> SlotAdmission {
        sequence.heldImages = Array(repeating: nil, count: sequence.images.count)
        let needed = sequence.images.indices.filter { sequence.images[$0].tokenRange.upperBound > cached }
        // Resident ones first, or a newcomer might evict them.
        for resident in [true, false] {
            for index in needed where sequence.heldImages[index] == nil {
                if encoder.contains(sequence.images[index].hash) == resident || !resident {
                    sequence.heldImages[index] = encoder.acquire(sequence.images[index])
                }
            }
        }
        let spans = zip(sequence.images, sequence.heldImages).map { image, id in
            ImageSpan(
                id: id ?? encoder.makeID(), offset: image.offset, rows: image.image.tokenRows,
                columns: image.image.tokenColumns)
        }
        return SlotAdmission(
            slot: slot, tokens: sequence.tokens, promptCount: sequence.promptCount, cachedCount: cached,
            images: spans, sampling: sequence.sampling, seed: sequence.seed, choice: UInt32(sequence.choice),
            stopTokens: sequence.stopTokens)
    }

    private mutating func countQueries(_ sequence: TokenSequence, cached: Int, images: [SequenceImage]) {
        guard sequence.preemptionCount == 0 else { return }
        if configuration.enablePrefixCaching {
            counters.prefixQueriedTokens += UInt64(sequence.promptCount)
            counters.prefixHitTokens += UInt64(cached)
        }
        for image in images {
            counters.encoderQueries += 1
            if encoder.contains(image.hash) {
                counters.encoderHits += 1
            } else {
                counters.encodedImageTokens += UInt64(image.tokenCount)
            }
        }
    }

    /// Requests that waited longer than the configuration allows.
    mutating func expireWaiting(now: Double) -> [EngineAction] {
        let limit = configuration.queueTimeoutSeconds
        let late = waiting.filter { !$0.group.isStarted && now - $0.group.arrivalTime > limit }
        let message = "The request waited \(Int(limit)) s without being admitted."
        return endAll(late, reason: .error, message: message, now: now)
    }
}

extension [TokenSequence] {
    /// Inserts into an array that stands in `SequenceOrder`.
    mutating func insertInOrder(_ sequence: TokenSequence) {
        insert(sequence, at: firstIndex { sequence.order < $0.order } ?? count)
    }
}
