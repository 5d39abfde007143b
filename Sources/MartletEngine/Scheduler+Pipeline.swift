/// Filling the steps of a pipeline. As many steps are in flight as there are stages, each on another stage, and all
/// stages are busy while these steps are about equal: so a step takes an even share of the sequences that decode, and
/// of the rows that prompts still have to go. Chunks of one prompt may follow each other through the stages; a
/// sequence that waits for a token is in one step only, for the first stage does not know its input before that step
/// is collected.
extension Scheduler {
    var isPipeline: Bool { limits.stageCount > 1 }

    /// Whether sequences decode before it is known what their last step brought. One that guesses has to know what was
    /// said.
    var hasLookahead: Bool { !isPipeline && configuration.speculation == nil }

    /// Decodes that the next step may hold: of 7 over 3 stages 3, 2 and 2, in whatever order. Who finds no room goes
    /// with one of the next steps: those in flight are out of the way until they come back.
    var decodeShare: Int {
        guard isPipeline else { return .max }
        let count = running.count { !$0.isPrefilling }
        let (share, larger) = count.quotientAndRemainder(dividingBy: limits.stageCount)
        return inFlight.count { $0.rows.count > share } < larger ? share + 1 : share
    }

    /// Rows of prompts that no collected step has computed, those in flight and those of requests that wait included.
    var outstandingPrefillRows: Int {
        running.reduce(0) { $0 + max(0, $1.admittedCount - $1.computedCount) }
            + waiting.reduce(0) { $0 + $1.tokens.count }
    }
}
