import MartletCore

/// What a request cost. `cached_tokens` is always sent: routers and benchmarks read it (API.md 2.6).
struct Usage: Sendable, Equatable {
    var promptTokens = 0
    /// Of them, found in the prefix cache.
    var cachedTokens = 0
    /// Of them, placeholders of images.
    var imageTokens = 0
    /// Over all choices; a token that ended a choice counts.
    var completionTokens = 0

    func write(into writer: inout JSONWriter) {
        writer.raw("{\"prompt_tokens\":\(promptTokens),\"total_tokens\":\(promptTokens + completionTokens)")
        writer.raw(",\"completion_tokens\":\(completionTokens)")
        writer.raw(",\"prompt_tokens_details\":{\"cached_tokens\":\(cachedTokens)")
        writer.raw(",\"multimodal_tokens\":\(imageTokens)}}")
    }

    static func + (left: Usage, right: Usage) -> Usage {
        Usage(
            promptTokens: left.promptTokens + right.promptTokens,
            cachedTokens: left.cachedTokens + right.cachedTokens,
            imageTokens: left.imageTokens + right.imageTokens,
            completionTokens: left.completionTokens + right.completionTokens)
    }
}
