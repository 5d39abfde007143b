/// A chosen token and what the model thought of it. Log-probabilities are the raw log-softmax of the logits,
/// before penalties and temperature (D7).
package struct SampledToken: Sendable, Equatable {
    package var token: TokenID
    /// Of `token`; nil if none were asked for.
    package var logprob: Float?
    /// The most probable tokens, best first.
    package var top: [TokenLogprob]

    package init(token: TokenID, logprob: Float? = nil, top: [TokenLogprob] = []) {
        self.token = token
        self.logprob = logprob
        self.top = top
    }
}

package struct TokenLogprob: Sendable, Equatable {
    package var token: TokenID
    package var logprob: Float

    package init(token: TokenID, logprob: Float) {
        self.token = token
        self.logprob = logprob
    }
}
