import MartletCore

/// Counting, and checking what was counted.
extension Scheduler {
    /// Counters since start and gauges of now.
    package var statistics: EngineStatistics {
        var statistics = counters
        statistics.runningCount = running.count
        statistics.waitingCount = waiting.count
        statistics.blockCount = limits.blockCount
        statistics.blockSize = limits.blockSize
        statistics.usedBlockCount = store.usedCount
        statistics.cachedBlockCount = store.cachedCount
        return statistics
    }

    /// What is wrong with slots, blocks and images, recounted from nothing; empty is right.
    package func discrepancies() -> [String] {
        let resident = running + retiring + ahead.filter { $0.phase == .running }
        var found = store.discrepancies(tables: (resident + waiting).map(\.table))
        let slots = freeSlots + resident.compactMap(\.slot)
        if slots.count != limits.slotCount || Set(slots).count != slots.count {
            found.append("\(freeSlots.count) free slots and \(resident.count) resident sequences")
        }
        let heldImages = Set(resident.flatMap { $0.heldImages.compactMap { $0 } }).count
        if heldImages < encoder.usedCount { found.append("\(encoder.usedCount) images used, \(heldImages) held") }
        if encoder.residentTokens > limits.encoderCacheTokens { found.append("the encoder cache is over its budget") }
        for sequence in resident where sequence.plannedCount > sequence.table.count * limits.blockSize {
            found.append("a sequence is planned beyond its blocks")
        }
        for sequence in resident where sequence.computedCount > sequence.plannedCount {
            found.append("a sequence is computed beyond its plan")
        }
        return found
    }

    /// Runs the check above and counts a failure. The engine does so whenever it falls idle.
    package mutating func checkIntegrity() {
        if !discrepancies().isEmpty || (isIdle && store.usedCount != 0) { counters.integrityFailures += 1 }
    }

    /// Work is there and none of it can move: a bug, counted, instead of a hang.
    package mutating func countStuck() { counters.integrityFailures += 1 }

    /// The first step that names the sequence ends its time in the queue.
    mutating func noteScheduled(_ sequence: TokenSequence, now: Double) {
        guard sequence.timing.firstScheduled == nil else { return }
        sequence.timing.firstScheduled = now
        counters.histograms.queueTime.observe(now - sequence.group.arrivalTime)
    }

    mutating func noteTokens(of sequence: TokenSequence, now: Double) {
        if let last = sequence.timing.lastToken {
            counters.histograms.interTokenLatency.observe(now - last)
        } else {
            sequence.timing.firstToken = now
            counters.histograms.timeToFirstToken.observe(now - sequence.group.arrivalTime)
            if let start = sequence.timing.firstScheduled { counters.histograms.prefillTime.observe(now - start) }
            if sequence.choice == 0 { counters.promptTokens += UInt64(sequence.promptCount) }
        }
        sequence.timing.lastToken = now
    }

    mutating func noteFinished(_ sequence: TokenSequence, reason: FinishReason, now: Double) {
        switch reason {
        case .stop: counters.finishedStop += 1
        case .length: counters.finishedLength += 1
        case .cancelled: counters.finishedCancelled += 1
        case .error: counters.finishedError += 1
        }
        let timing = sequence.timing
        counters.histograms.endToEnd.observe(now - sequence.group.arrivalTime)
        counters.histograms.promptTokens.observe(Double(sequence.promptCount))
        counters.histograms.generatedTokens.observe(Double(sequence.generatedCount))
        counters.histograms.requestPreemptions.observe(Double(sequence.preemptionCount))
        if let start = timing.firstScheduled { counters.histograms.inferenceTime.observe(now - start) }
        guard let first = timing.firstToken, let last = timing.lastToken else { return }
        counters.histograms.decodeTime.observe(now - first)
        if sequence.generatedCount > 1 {
            counters.histograms.timePerOutputToken.observe((last - first) / Double(sequence.generatedCount - 1))
        }
    }
}
