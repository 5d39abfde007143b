import MartletCore
import Synchronization

/// What the server itself counts; the engine counts the rest.
final class ServerMetrics: Sendable {
    struct Counts: Sendable, Equatable {
        var images = 0
        var imageTokens = 0
        /// Images that were shrunk to fit the context.
        var fittedImages = 0
    }

    let http = HTTPMetrics()
    /// Seconds since 1970.
    let started: Double
    private let state = Mutex(Counts())

    init(started: Double) { self.started = started }

    var counts: Counts { state.withLock { $0 } }

    func note(_ prepared: PreparedPrompt) {
        guard !prepared.prompt.images.isEmpty else { return }
        state.withLock { counts in
            counts.images += prepared.prompt.images.count
            counts.imageTokens += prepared.imageTokenCount
            counts.fittedImages += prepared.fits.count
        }
    }
}
