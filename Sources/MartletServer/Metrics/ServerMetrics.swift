import MartletCore
import MartletEngine
import Synchronization

/// What the server itself counts; the engine counts the rest.
final class ServerMetrics: Sendable {
    struct Counts: Sendable, Equatable {
        var images = 0
        var imageTokens = 0
        /// Images that were shrunk to fit the context.
        var fittedImages = 0
        /// `n` and `max_tokens` of admitted generations, the latter as clamped.
        var choices = Histogram(bounds: [1, 2, 5, 10, 20])
        var maxTokens = Histogram(bounds: Histogram.tokens)
    }

    let http = HTTPMetrics()
    /// Seconds since 1970.
    let started: Double
    private let state = Mutex(Counts())

    init(started: Double) { self.started = started }

    var counts: Counts { state.withLock { $0 } }

    /// An admitted generation.
    func note(_ sampling: SamplingParameters) {
        state.withLock { counts in
            counts.choices.observe(Double(sampling.choiceCount))
            counts.maxTokens.observe(Double(sampling.maxTokens))
        }
    }

    func note(_ prepared: PreparedPrompt) {
        guard !prepared.prompt.images.isEmpty else { return }
        state.withLock { counts in
            counts.images += prepared.prompt.images.count
            counts.imageTokens += prepared.imageTokenCount
            counts.fittedImages += prepared.fits.count
        }
    }
}
