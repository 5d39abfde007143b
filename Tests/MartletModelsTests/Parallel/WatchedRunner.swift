import MartletCore
import MartletEngine

/// Another runner, whose launches are counted and may fail.
final class WatchedRunner<Inner: ModelRunner>: ModelRunner {
    private let inner: Inner
    private let willLaunch: (_ number: Int) throws -> Void
    private var launchCount = 0

    /// `willLaunch` is told the number of each launch, 1 being the first; what it throws, the launch throws.
    init(_ inner: Inner, willLaunch: @escaping (_ number: Int) throws -> Void) {
        self.inner = inner
        self.willLaunch = willLaunch
    }

    var limits: RunnerLimits { inner.limits }
    var costModel: CostModel { inner.costModel }
    var progress: StepProgress { inner.progress }
    func visionUnitCount(of image: PreparedImage) -> Int { inner.visionUnitCount(of: image) }
    func register(_ image: PreparedImage, as id: ImageID) throws { try inner.register(image, as: id) }

    func launch(_ plan: StepPlan) throws -> StepTicket {
        launchCount += 1
        try willLaunch(launchCount)
        return try inner.launch(plan)
    }

    func collect(_ ticket: StepTicket) throws -> StepResult { try inner.collect(ticket) }
}

struct PlantedFault: Error, CustomStringConvertible {
    let description = "a planted fault"
}
