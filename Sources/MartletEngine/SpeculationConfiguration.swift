/// Speculative decoding by prompt lookup (`--speculative-config`). It changes when tokens come, never which.
package struct SpeculationConfiguration: Sendable, Equatable {
    /// Most tokens guessed behind a decode (`num_speculative_tokens`).
    package var tokenCount: Int
    /// Fewest and most tokens at the end of a text that have to have stood there before (`prompt_lookup_min`, `_max`).
    package var shortestMatch: Int
    package var longestMatch: Int
    /// Guesses are made in steps of this many decodes at most (`disable_by_batch_size`); nil: where the cost model
    /// says that their rows are nearly free.
    package var largestBatch: Int?

    /// What may be asked for: a guess is a small part of a step, a match a small part of a text.
    package static let tokenCounts = 1...16
    package static let matches = 1...16

    /// - Parameters: within the ranges above, `shortestMatch` not above `longestMatch`.
    package init(tokenCount: Int, shortestMatch: Int, longestMatch: Int, largestBatch: Int? = nil) {
        self.tokenCount = tokenCount
        self.shortestMatch = shortestMatch
        self.longestMatch = longestMatch
        self.largestBatch = largestBatch
    }
}
