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
        /// By engine, as far as one has taken anything.
        var asked: [Asked] = []

        func asked(engineCount: Int) -> [Asked] {
            asked + [Asked](repeating: Asked(), count: max(0, engineCount - asked.count))
        }
    }

    /// `n` and `max_tokens` of admitted generations, the latter as clamped.
    struct Asked: Sendable, Equatable {
        var choices = Histogram(bounds: [1, 2, 5, 10, 20])
        var maxTokens = Histogram(bounds: Histogram.tokens)
    }

    let http = HTTPMetrics()
    /// Seconds since 1970.
    let started: Double
    private let state = Mutex(Counts())

    init(started: Double) { self.started = started }

    var counts: Counts { state.withLock { $0 } }

    /// An admitted generation of engine `engine`.
    func note(_ sampling: SamplingParameters, engine: Int) {
        state.withLock { counts in
            counts.asked = counts.asked(engineCount: engine + 1)
            counts.asked[engine].choices.observe(Double(sampling.choiceCount))
            counts.asked[engine].maxTokens.observe(Double(sampling.maxTokens))
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
