import MartletCore
import MartletText

/// A request's prompt, ready for the engine.
struct PreparedPrompt: Sendable {
    var prompt: Prompt
    var assembly = CompletionAssembler.Options()
    /// Images that were shrunk to fit the context.
    var fits: [ImageFitNote] = []

    /// Placeholders of images.
    var imageTokenCount: Int { prompt.images.reduce(0) { $0 + $1.image.tokenCount } }
}
