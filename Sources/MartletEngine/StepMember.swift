/// A sequence in a step.
struct StepMember {
    let sequence: TokenSequence
    /// Positions computed when the step is done, whatever becomes of guesses.
    let end: Int
    /// It gets a row of the result.
    let samples: Bool

    /// The step is over, one way or the other.
    func land() {
        sequence.inFlightSteps -= 1
        if samples { sequence.inFlightTokens -= 1 }
    }
}
