import MartletCore
import MartletEngine
import MartletParallel

/// All ranks of one model, as the engine sees them: the lead rank runs on the engine's thread, and the others are told
/// the same plans and when to collect them. A group of one is the ordinary case.
package final class GroupRunner<Lead: ModelRunner>: ModelRunner {
    let lead: Lead
    private let followers: [any Followers]
    private let communicator: any Communicator

    package var limits: RunnerLimits { lead.limits }
    package var costModel: CostModel { lead.costModel }
    /// The lead rank's, with the ticks of every other in this process.
    package var progress: StepProgress { lead.progress }

    /// `communicator`: of rank 0. `followers`: all other ranks, which have begun.
    package init(lead: Lead, followers: [any Followers] = [], communicator: any Communicator = SoleCommunicator()) {
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

    /// What fails on one rank alone leaves the ranks out of step, for good.
    private func together<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as RunnerError where error.isCommon {
            throw error
        } catch {
            guard !followers.isEmpty else { throw error }
            communicator.breakUp("\(error)")
            // The engine is being stopped, whichever rank noticed first: that is no loss.
            if progress.isCancelled { throw CancellationError() }
            throw RunnerLost(reason: "\(error)")
        }
    }
}
