import MartletCPU
import MartletCore
import MartletEngine
import MartletModels
import MartletParallel
import MartletTensor

/// Ranks that are processes: each loads its own shard.
extension RankAssembly {
    /// Rank 0's part of `load`. The first copy's lead rank is this one; the other copies are wholly in other processes,
    /// and their engines here.
    func lead(
        _ process: RankProcess, weights: SharedWeights<Machine.RankBackend>, loaded: @escaping @Sendable (Int) -> Void,
        sized: (_ depth: Int) throws -> RunnerLimits
    ) throws -> [Ranks] {
        do {
            let place = place(in: process)
            let world = process.communicator(stageCount: layout.stages.count)
            let rank = try LoadedRank(
                files, options: options, on: machine, place: place, communicator: ownCopy(of: world),
                weights: weights, loaded: loaded)
            try world.barrier()
            let limits = try sized(machine.depth(of: rank.backend))
            let copies = (0..<layout.size.data).map { LinkedFollowers(process.link, ranks: followers(ofCopy: $0)) }
            for followers in copies { try followers.put(.begin(limits)) }
            let progress = StepProgress()
            let runner = try rank.runner(
                limits: limits, cacheType: cacheType, footprint: footprint, progress: progress)
            for rank in followers(ofCopy: 0) { process.link.listen(to: rank) { progress.tick() } }
            // A copy of one rank has nobody to tell: nothing is coded for nobody.
            let told = followers(ofCopy: 0).isEmpty ? [] : [copies[0]]
            let first = GroupRunner(lead: runner, followers: told, communicator: world)
            let others = (1..<copies.count).map { copy in
                let lead = remoteLead(ofCopy: copy, like: runner, process)
                return GroupRunner(lead: lead, followers: [copies[copy]], communicator: world)
            }
            let threads = try threadCount(place, process)
            // Threads of all ranks are counted with the first copy.
            return [Ranks(runner: first, threadCount: threads, exchange: rank.exchange)]
                + others.map { Ranks(runner: $0, threadCount: 0) }
        } catch {
            process.breakUp.say("rank 0: \(error)")
            throw error
        }
    }

    /// The ranks of a copy that are told what to do, of the world.
    private func followers(ofCopy copy: Int) -> Range<Int> {
        let count = layout.shards.count
        return max(1, copy * count)..<(copy + 1) * count
    }

    /// The ranks of this one's copy among themselves.
    private func ownCopy(of world: MPICommunicator) -> any Communicator {
        guard layout.size.data > 1 else { return world }
        let count = layout.shards.count, start = layout.replica(ofRank: world.rank) * count
        return world.subgroup(Array(start..<start + count))
    }

    private func remoteLead(
        ofCopy copy: Int, like runner: some ModelRunner, _ process: RankProcess
    ) -> RemoteLead {
        let replies = MessageQueue<RankReply>()
        let lead = RemoteLead(
            limits: runner.limits, costModel: runner.costModel, vision: files.configuration.vision, replies: replies)
        let progress = lead.progress, ranks = followers(ofCopy: copy)
        for rank in ranks {
            process.link.listen(to: rank) {
                progress.tick()
            } onReply: { bytes in
                guard rank == ranks.lowerBound else { throw PlanCodingError.invalid(field: "kind") }
                replies.put(try RankReply(decoding: bytes))
            }
        }
        process.breakUp.listen { _ in replies.close() }
        return lead
    }

    /// Any other rank's life, until the orders end or the ranks no longer work together.
    func follow(_ process: RankProcess, loaded: @escaping (Int) -> Void, ready: () -> Void) {
        do {
            let place = place(in: process)
            ThreadAffinity.pin(to: place.processors)
            let world = process.communicator(stageCount: layout.stages.count)
            let rank = try LoadedRank(
                files, options: options, on: machine, place: place, communicator: ownCopy(of: world),
                weights: SharedWeights(), loaded: loaded)
            try world.barrier()
            _ = try cacheBytes()
            let progress = StepProgress()
            process.link.report { progress.tickCount }
            let leads = layout.replica(ofRank: process.rank) > 0 && process.rank % layout.shards.count == 0
            try process.orders.follow(reply: leads ? { try process.link.reply($0.encoded()) } : nil) { limits in
                defer { ready() }
                let runner = try rank.runner(
                    limits: limits, cacheType: cacheType, footprint: footprint, progress: progress)
                _ = try threadCount(place, process)
                return runner
            }
        } catch {
            process.breakUp.say("rank \(process.rank): \(error)")
        }
    }

    /// Of all ranks.
    private func threadCount(_ place: RankPlace, _ process: RankProcess) throws -> Int {
        let counts = try process.communicator().exchange([UInt8(clamping: place.threads ?? 1)])
        return counts.reduce(0) { $0 + Int($1.first ?? 1) }
    }

    private func place(in process: RankProcess) -> RankPlace {
        RankPlace(
            shard: layout.shard(ofRank: process.rank),
            seat: process.neighbours.firstIndex(of: process.rank) ?? 0, copy: nil,
            threads: process.seats.threadCount(
                of: process.rank, asked: options.threads, quota: ThreadPool.defaultThreadCount()),
            processors: process.seats.processors(of: process.rank))
    }
}
