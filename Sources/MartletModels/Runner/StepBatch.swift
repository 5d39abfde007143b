import MartletCore
import MartletEngine
import MartletTensor

/// The rows of one step, gathered from its plan: chunks first, then decodes, as one batch.
struct StepBatch {
    /// Rows of an image's embeddings that go in place of placeholder rows.
    struct Replacement: Equatable {
        let image: ImageID
        var targets: [Int]
        var sources: [Int]
    }

    private(set) var tokens: [TokenID] = []
    private(set) var positions = RotaryPositions()
    private(set) var attention = AttentionBatch(segments: [])
    private(set) var replacements: [Replacement] = []
    /// Rows that choose a token, and whose.
    private(set) var sampledRows: [Int] = []
    private(set) var sampledSlots: [Slot] = []

    /// Adds `range` of a slot's tokens; its KV goes to the same positions.
    mutating func append(_ range: Range<Int>, of state: SlotState, slot: Slot, samples: Bool) {
        let firstRow = tokens.count
        tokens += state.tokens[range]
        state.positions.append(range, to: &positions)
        attention.segments.append(
            AttentionBatch.Segment(rows: firstRow..<tokens.count, start: range.lowerBound, blocks: state.blocks))
        for span in state.admission.images {
            let overlap = range.clamped(to: span.tokenRange)
            guard !overlap.isEmpty else { continue }
            replacements.append(
                Replacement(
                    image: span.id, targets: overlap.map { firstRow + $0 - range.lowerBound },
                    sources: overlap.map { $0 - span.offset }))
        }
        if samples {
            sampledRows.append(tokens.count - 1)
            sampledSlots.append(slot)
        }
    }
}
