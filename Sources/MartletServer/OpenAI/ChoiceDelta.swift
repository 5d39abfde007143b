import MartletCore

/// What one event of the engine adds to one choice, as text.
struct ChoiceDelta: Sendable, Equatable {
    var index: Int
    var content = ""
    /// Thoughts, where they are kept apart from the content.
    var reasoning = ""
    /// One entry a token, when log-probabilities were asked for.
    var logprobs: [TokenRecord] = []
    /// When token ids were asked for.
    var tokenIDs: [TokenID] = []
    /// Set on the last delta of a choice.
    var ending: Ending?

    /// Joins a later delta of the same choice.
    mutating func append(_ later: ChoiceDelta) {
        content += later.content
        reasoning += later.reasoning
        logprobs += later.logprobs
        tokenIDs += later.tokenIDs
        ending = ending ?? later.ending
    }

    /// Nothing a client would see.
    var isSilent: Bool {
        content.isEmpty && reasoning.isEmpty && logprobs.isEmpty && tokenIDs.isEmpty && ending == nil
    }
}
