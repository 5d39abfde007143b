import MartletCore

/// Guesses behind the decodes of a step. A decode with k guesses is a chunk of k + 1 rows, each of which is sampled:
/// the runner keeps the tokens up to the first that was guessed wrong. The sampler's choice at a position depends on
/// what stands before it alone (D5, D12), so these are the tokens that single decodes would have brought.
extension Scheduler {
    /// Fills what the decodes, prefills and admissions left of the step.
    mutating func scheduleGuesses(into draft: inout StepDraft) {
        guard let speculation = configuration.speculation else { return }
        let isAlways = speculation.largestBatch.map { draft.decodeOwners.count <= $0 }
        if isAlways == false { return }
        for (index, sequence) in draft.decodeOwners.enumerated() {
            let position = sequence.plannedCount + 1
            // The last token needs no guess behind it: it is nobody's input.
            let wanted = min(speculation.tokenCount, sequence.tokenLimit - sequence.tokens.count - 1)
            let room = draft.budget.guessRows(wanted: wanted, from: position, evenIfDear: isAlways == true)
            var guesses = sequence.proposer?.propose(after: sequence.tokens, count: room) ?? []
            guesses = Array(guesses.prefix(spareRoom(for: guesses.count, behind: sequence, in: &draft)))
            guard !guesses.isEmpty else { continue }
            draft.budget.takeGuesses(guesses.count, from: position)
            draft.plan.decodes[index].guesses = guesses
        }
    }

    /// How many of `count` positions behind the next one of `sequence` have a place. Guesses take blocks that nobody is
    /// about to need, and never anybody else's.
    private mutating func spareRoom(
        for count: Int, behind sequence: TokenSequence, in draft: inout StepDraft
    ) -> Int {
        let next = sequence.plannedCount + 1
        while sequence.table.count * limits.blockSize < next + count, store.availableCount > running.count,
            let block = store.allocate()
        {
            sequence.table.append(block)
            append([block], to: sequence, in: &draft)
        }
        return min(count, sequence.table.count * limits.blockSize - next)
    }

    /// What became of the guesses in a row of the result.
    mutating func noteGuesses(_ row: StepRow, accepted: Int) {
        guard !row.guesses.isEmpty else { return }
        row.owner.proposer?.learn(accepted: accepted)
        counters.speculation?.note(guessed: row.guesses.count, accepted: accepted)
    }
}
