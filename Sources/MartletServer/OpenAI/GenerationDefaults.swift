/// What the model's `generation_config.json` says, for the fields a request leaves out (MODEL.md 5.6).
package struct GenerationDefaults: Sendable, Equatable {
    package var temperature: Float = 1
    package var topK = 0
    package var topP: Float = 1
    package var minP: Float = 0
    package var repetitionPenalty: Float = 1
    /// nil = the rest of the context.
    package var maxTokens: Int?

    package init() {}
}
