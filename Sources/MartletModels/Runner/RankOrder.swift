import MartletCore
import MartletEngine
import MartletParallel

/// What the lead rank tells the others, in the order in which it does so itself (D2).
package enum RankOrder: Sendable {
    /// First of all: what every rank's memory is to hold.
    case begin(RunnerLimits)
    case register(PreparedImage, as: ImageID)
    /// An encoded `StepPlan`, to be launched.
    case step([UInt8])
    /// The oldest launched step, by its index, is to be collected.
    case collect(UInt64)
}

extension MessageQueue<RankOrder> {
    /// The life of a rank that follows: makes its runner, and runs what is ordered until the orders end. Throws what
    /// ends the rank: the group is to be broken up then. `reply` is told what every collect brought, where the engine
    /// has no other rank to ask.
    package func follow(
        reply: ((RankReply) throws -> Void)? = nil, _ makeRunner: (RunnerLimits) throws -> some ModelRunner
    ) throws {
        guard case .begin(let limits)? = next() else { return }
        let runner = try makeRunner(limits)
        while let order = next() {
            do {
                switch order {
                case .begin: throw RunnerError.outOfStep
                case .register(let image, let id): try runner.register(image, as: id)
                case .step(let bytes): _ = try runner.launch(StepPlan(decoding: bytes))
                case .collect(let index):
                    let result = try runner.collect(StepTicket(index: index))
                    try reply?(.result(result.encoded()))
                }
            } catch let error as RunnerError where error.isCommon {
                // The plan is at fault, and every rank has found the same: their engine deals with it.
                if case .collect = order { try reply?(.fault(error)) }
            }
        }
    }
}
