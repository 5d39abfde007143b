import MartletCore

/// A row of the result that a launched step will bring.
struct StepRow {
    let owner: TokenSequence
    let slot: Slot
    let guesses: [TokenID]

    /// Whether `row` can be what it brought: its guesses as far as they were right, and one token more.
    func fits(_ row: StepResult.Row) -> Bool {
        row.slot == slot && row.tokens.count <= guesses.count + 1
            && zip(row.tokens.dropLast(), guesses).allSatisfy { $0.token == $1 }
    }
}
