/// Chunks and vision work.
extension Scheduler {
    /// As much of the sequence's prefill as the budget takes: text up to the next image that is not encoded, then
    /// units of that image, and on if they were its last.
    mutating func prefill(_ sequence: TokenSequence, into draft: inout StepDraft) {
        guard let slot = sequence.slot else { return }
        if !configuration.enableChunkedPrefill { return prefillWhole(sequence, slot: slot, into: &draft) }
        let start = sequence.plannedCount
        let bound = min(sequence.admittedCount, start + max(1, configuration.longPrefillTokens ?? Int(Int32.max)))
        var end = start
        while true {
            let image = nextUnencoded(in: sequence, from: end)
            let limit = min(bound, max(end, image?.offset ?? bound))
            if end < limit {
                end += draft.budget.takeRows(wanted: limit - end, from: end)
                if end < limit { break }
            }
            guard let image, end >= image.offset, encode(image.id, for: sequence, into: &draft) else { break }
        }
        if end > start { draft.addChunk(sequence, slot: slot, end: end) }
    }

    private mutating func prefillWhole(_ sequence: TokenSequence, slot: Slot, into draft: inout StepDraft) {
        while let image = nextUnencoded(in: sequence, from: sequence.plannedCount) {
            guard encode(image.id, for: sequence, into: &draft) else { return }
        }
        let rows = sequence.admittedCount - sequence.plannedCount
        guard draft.budget.takeWhole(rows, from: sequence.plannedCount) else { return }
        draft.addChunk(sequence, slot: slot, end: sequence.admittedCount)
    }

    /// The first image that rows from `position` on need and whose units are not all planned.
    private func nextUnencoded(in sequence: TokenSequence, from position: Int) -> (id: ImageID, offset: Int)? {
        for (image, id) in zip(sequence.images, sequence.heldImages) {
            if let id, image.tokenRange.upperBound > position, !encoder.remainingUnits(of: id).isEmpty {
                return (id, image.offset)
            }
        }
        return nil
    }

    /// Units of the image within the budget, if it is its turn. True if none are left.
    private mutating func encode(_ id: ImageID, for sequence: TokenSequence, into draft: inout StepDraft) -> Bool {
        guard encoder.mayPlan(id) else { return false }
        let remaining = encoder.remainingUnits(of: id)
        let count = draft.budget.takeUnits(wanted: remaining.count)
        guard count > 0 else { return false }
        let units = remaining.lowerBound..<(remaining.lowerBound + count)
        draft.plan.visionWork.append(VisionWork(image: id, units: units))
        encoder.plan(units: units, of: id)
        draft.name(sequence, end: sequence.plannedCount, samples: false)
        return count == remaining.count
    }
}
