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

    /// Rows that choose tokens of a slot.
    struct Sample {
        let slot: Slot
        let rows: Range<Int>
        /// Inputs of the rows but the first.
        let guesses: [TokenID]

        /// What counts of the rows' choices: up to the first that is not what the next row took for granted, or is nil.
        func accepted(_ choices: ArraySlice<SampledToken?>) -> [SampledToken] {
            var accepted: [SampledToken] = []
            for choice in choices {
                guard let choice else { break }
                accepted.append(choice)
                guard accepted.count <= guesses.count, choice.token == guesses[accepted.count - 1] else { break }
            }
            return accepted
        }
    }

    /// Of the rows, kept ones among them (`KeptToken`).
    private(set) var tokens: [TokenID] = []
    private(set) var positions = RotaryPositions()
    private(set) var attention = AttentionBatch(segments: [])
    private(set) var replacements: [Replacement] = []
    private(set) var samples: [Sample] = []

    /// Adds a slot's `input` for the positions from `start` on, where its KV goes.
    mutating func append(_ input: some Collection<TokenID>, at start: Int, of state: SlotState) {
        let range = start..<start + input.count
        let firstRow = tokens.count
        tokens += input
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
    }

    /// The last rows choose tokens for `slot`: one, and one behind each of `guesses`.
    mutating func sample(lastRows count: Int, slot: Slot, guesses: [TokenID] = []) {
        samples.append(Sample(slot: slot, rows: tokens.count - count..<tokens.count, guesses: guesses))
    }
}
