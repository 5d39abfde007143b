import MartletCore
import MartletEngine
import MartletParallel

/// The lead rank of a copy that runs in another process, as its engine sees it from here. It is told everything as a
/// follower of `GroupRunner`; here its results arrive.
package final class RemoteLead: CostedLead {
    package let limits: RunnerLimits
    package internal(set) var costModel: CostModel
    /// To be ticked when any rank of the copy is heard to have moved.
    package let progress = StepProgress()
    private let vision: VisionConfiguration?
    private let replies: MessageQueue<RankReply>

    /// `costModel`: until a warm-up. `vision`: of a model that sees. `replies`: closed when no more can come.
    package init(
        limits: RunnerLimits, costModel: CostModel, vision: VisionConfiguration?, replies: MessageQueue<RankReply>
    ) {
        self.limits = limits
        self.costModel = costModel
        self.vision = vision
        self.replies = replies
    }

    package func visionUnitCount(of image: PreparedImage) -> Int { vision?.unitCount(of: image) ?? 0 }

    package func register(_ image: PreparedImage, as id: ImageID) {}

    package func launch(_ plan: StepPlan) -> StepTicket { StepTicket(index: plan.index) }

    package func collect(_ ticket: StepTicket) throws -> StepResult {
        switch replies.next() {
        case .result(let bytes)?:
            let result = try StepResult(decoding: bytes)
            guard result.index == ticket.index else { throw RunnerError.outOfStep }
            return result
        case .fault(let error)?: throw error
        case nil: throw CommunicatorError(reason: "its ranks have gone")
        }
    }
}
