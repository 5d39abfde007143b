import MartletCore

/// What the sampler needs to know to choose one token (D12): a value, so that every rank and device computes the
/// same. Ids past the logits' width are ignored, never written.
package struct SampleRequest: Sendable, Equatable {
    package var temperature: Float = 0
    package var topK = 0
    package var topP: Float = 1
    package var minP: Float = 0
    /// Key of the counter-based generator: (seed, choice, position of the token among the generated).
    package var seed: UInt64 = 0
    package var choice: UInt32 = 0
    package var position: UInt32 = 0
    package var presencePenalty: Float = 0
    package var frequencyPenalty: Float = 0
    package var repetitionPenalty: Float = 1
    /// How often each token occurs in the generated text; presence and frequency penalties count these.
    package var generatedCounts: [TokenID: Int32] = [:]
    /// Tokens of the prompt; with the generated ones they take the repetition penalty.
    package var promptTokens: Set<TokenID> = []
    package var logitBias: [TokenID: Float] = [:]
    /// If set, every other token is masked.
    package var allowedTokens: [TokenID]?
    /// Masked: stop tokens before `minTokens`.
    package var bannedTokens: [TokenID] = []
    /// Rows of the vocabulary that the tokenizer has; padding rows past it are never chosen.
    package var vocabularyCount: Int
    /// nil = none; n = the chosen and the n best.
    package var logprobCount: Int?
    /// Where the backend keeps the token, for a row that begins with it (`KeptToken`); of one row at a time. nil =
    /// nowhere.
    package var place: Int?
    /// The token that was kept at `place` until now was generated too, and `generatedCounts` does not have it yet.
    package var countsKept = false

    package init(vocabularyCount: Int) { self.vocabularyCount = vocabularyCount }
}
