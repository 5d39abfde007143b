/// How one request chooses its tokens. Values are validated where they enter (the API); here they are plain.
package struct SamplingParameters: Sendable, Equatable {
    /// 0 = greedy. Otherwise logits are divided by it.
    package var temperature: Float = 1
    /// Keep the k largest logits; 0 = all.
    package var topK = 0
    /// Keep the smallest set whose probability reaches this; 1 = all.
    package var topP: Float = 1
    /// Drop tokens less probable than `minP` times the most probable; 0 = off.
    package var minP: Float = 0
    /// Key of the counter-based generator (D12); nil = the engine draws one.
    package var seed: UInt64?
    /// Subtracted once from every token that was generated before.
    package var presencePenalty: Float = 0
    /// Subtracted per occurrence among the generated tokens.
    package var frequencyPenalty: Float = 0
    /// Divides positive and multiplies negative logits of tokens in prompt or output; 1 = off.
    package var repetitionPenalty: Float = 1
    /// Added to the logit of a token.
    package var logitBias: [TokenID: Float] = [:]
    /// If set, every other token is masked.
    package var allowedTokens: [TokenID]?
    /// Most tokens to generate for a choice; at least 1.
    package var maxTokens = 16
    /// Stop tokens (of the model and of the request) are masked until this many tokens were generated.
    package var minTokens = 0
    /// Ends the choice with `stop`, in addition to the model's own set.
    package var stopTokens: [TokenID] = []
    /// The model's end-of-generation tokens are ordinary tokens.
    package var ignoresEndOfGeneration = false
    /// nil = no logprobs; n = the chosen token's and the n most probable.
    package var logprobCount: Int?
    /// Independent completions of the prompt.
    package var choiceCount = 1

    package init() {}
}
