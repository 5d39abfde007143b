/// Guesses and what became of them, since start.
package struct SpeculationStatistics: Sendable, Equatable {
    /// Decodes with guesses, their guesses, and those that the model agreed with.
    package private(set) var drafts: UInt64 = 0
    package private(set) var guessedTokens: UInt64 = 0
    package private(set) var acceptedTokens: UInt64 = 0
    /// By place behind the decode, as many as a decode may have.
    package private(set) var acceptedByPosition: [UInt64]

    package init(tokenCount: Int) { acceptedByPosition = Array(repeating: 0, count: tokenCount) }

    package mutating func note(guessed: Int, accepted: Int) {
        drafts += 1
        guessedTokens += UInt64(guessed)
        acceptedTokens += UInt64(accepted)
        for position in acceptedByPosition.indices.prefix(accepted) { acceptedByPosition[position] += 1 }
    }

    /// Adds the figures of another engine with the same configuration.
    package mutating func add(_ other: SpeculationStatistics?) {
        guard let other else { return }
        drafts += other.drafts
        guessedTokens += other.guessedTokens
        acceptedTokens += other.acceptedTokens
        for (position, count) in other.acceptedByPosition.enumerated() where position < acceptedByPosition.count {
            acceptedByPosition[position] += count
        }
    }
}
