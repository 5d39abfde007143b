import MartletCore
import MartletEngine

/// Another runner, until it fails.
final class FaultyRunner<Inner: ModelRunner>: ModelRunner {
    private let inner: Inner
    private var launchesLeft: Int?

    /// `failsAt`: the number of the launch that throws; nil = none.
    init(_ inner: Inner, failsAt launch: Int?) {
        self.inner = inner
        launchesLeft = launch
    }

    var limits: RunnerLimits { inner.limits }
    var costModel: CostModel { inner.costModel }
    var progress: StepProgress { inner.progress }
    func visionUnitCount(of image: PreparedImage) -> Int { inner.visionUnitCount(of: image) }
    func register(_ image: PreparedImage, as id: ImageID) throws { try inner.register(image, as: id) }

    func launch(_ plan: StepPlan) throws -> StepTicket {
        launchesLeft = launchesLeft.map { $0 - 1 }
        if launchesLeft == 0 { throw PlantedFault() }
        return try inner.launch(plan)
    }

    func collect(_ ticket: StepTicket) throws -> StepResult { try inner.collect(ticket) }
}

struct PlantedFault: Error, CustomStringConvertible {
    let description = "a planted fault"
}
