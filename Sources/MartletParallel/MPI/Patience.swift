import CMartletKernels
import Foundation

/// How a thread looks again and again for what another process does: at once while it is likely to come soon, then
/// letting others have the processor (there may be more ranks than processors), then at intervals.
struct Patience {
    private let seconds: Double
    private var looks = 0
    private var start: ContinuousClock.Instant?

    /// Looks before others get the processor: some microseconds, in which an exchange of small messages is done.
    private static let closeLooks = 500
    /// Looks after which a thread sleeps between them: a few milliseconds.
    private static let eagerLooks = 5000

    init(seconds: Double) { self.seconds = seconds }

    /// Lets some time pass; true once it is too long.
    mutating func isOver() -> Bool {
        looks += 1
        if looks < Self.closeLooks {
            martlet_pause()
            return false
        }
        if looks < Self.eagerLooks {
            sched_yield()
        } else {
            usleep(50)
        }
        guard looks % 64 == 0 else { return false }
        let now = ContinuousClock.now
        guard let start else {
            start = now
            return false
        }
        return now - start > .seconds(seconds)
    }
}
