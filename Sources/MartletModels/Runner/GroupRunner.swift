import MartletCore
import MartletEngine
import MartletParallel
import MartletTensor

/// All ranks of a copy of the model, as its engine sees them: the lead rank runs on the engine's thread, and the others
/// are told the same plans and when to collect them. A group of one is the ordinary case; the lead rank of a copy in
/// other processes is one of the others, too, and `RemoteLead` stands for it.
package final class GroupRunner: ModelRunner {
    let lead: any ModelRunner
    private let followers: [any Followers]
    private let communicator: any Communicator

    package var limits: RunnerLimits { lead.limits }
    package var costModel: CostModel { lead.costModel }
    /// The lead rank's, with the ticks of every other in this process.
    package var progress: StepProgress { lead.progress }

    /// `communicator`: what to break up when a rank fails alone. `followers`: all other ranks, which have begun.
    package init(
        lead: any ModelRunner, followers: [any Followers] = [], communicator: any Communicator = SoleCommunicator()
    ) {
        self.lead = lead
        self.followers = followers
        self.communicator = communicator
    }

    package func visionUnitCount(of image: PreparedImage) -> Int { lead.visionUnitCount(of: image) }

    package func register(_ image: PreparedImage, as id: ImageID) throws {
        try order(.register(image, as: id))
        try lead.register(image, as: id)
    }

    package func launch(_ plan: StepPlan) throws -> StepTicket {
        if !followers.isEmpty { try order(.step(try plan.encoded())) }
        return try together { try lead.launch(plan) }
    }

    package func collect(_ ticket: StepTicket) throws -> StepResult {
        try order(.collect(ticket.index))
        return try together { try lead.collect(ticket) }
    }

    private func order(_ order: RankOrder) throws {
        for follower in followers { try follower.put(order) }
    }

    /// What fails on one rank alone leaves the ranks out of step, for good; so does a lost device a rank by itself.
    private func together<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as RunnerError where error.isCommon {
            throw error
        } catch {
            guard !followers.isEmpty || error is DeviceLost else { throw error }
            communicator.breakUp("\(error)")
            // The engine is being stopped, whichever rank noticed first: that is no loss.
            if progress.isCancelled { throw CancellationError() }
            throw RunnerLost(reason: "\(error)")
        }
    }
}
