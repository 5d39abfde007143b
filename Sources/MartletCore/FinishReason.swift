/// Why a choice ended.
package enum FinishReason: String, Sendable {
    /// An end-of-generation token, a stop token or a stop string.
    case stop
    /// `maxTokens` or the context limit.
    case length
    /// The client went away, or asked.
    case cancelled
    /// Something failed in the engine; the stream carries the message.
    case error
}
