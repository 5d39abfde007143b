import MartletCPU
import MartletEngine
import MartletModels
import MartletParallel
import MartletTensor

/// Ranks that are processes: each loads its own shard.
extension RankAssembly {
    /// Rank 0's part of `load`.
    func lead(
        _ process: RankProcess, weights: SharedWeights, loaded: @escaping @Sendable (Int) -> Void,
        sized: () throws -> RunnerLimits
    ) throws -> Ranks {
        do {
            let place = place(in: process)
            let communicator = process.communicator(stageCount: layout.stages.count)
            let rank = try LoadedRank(
                files, options: options, place: place, communicator: communicator, weights: weights, loaded: loaded)
            try communicator.barrier()
            let limits = try sized()
            let followers = LinkedFollowers(process.link)
            try followers.put(.begin(limits))
            let runner = try rank.runner(
                limits: limits, cacheType: cacheType, footprint: footprint, progress: StepProgress())
            let group = GroupRunner(lead: runner, followers: [followers], communicator: communicator)
            return (group, try threadCount(place, process), nil)
        } catch {
            process.breakUp.say("rank 0: \(error)")
            throw error
        }
    }

    /// Any other rank's life, until the orders end or the ranks no longer work together.
    func follow(_ process: RankProcess, loaded: @escaping (Int) -> Void, ready: () -> Void) {
        do {
            let place = place(in: process)
            ThreadAffinity.pin(to: place.processors)
            let communicator = process.communicator(stageCount: layout.stages.count)
            let rank = try LoadedRank(
                files, options: options, place: place, communicator: communicator, weights: SharedWeights(),
                loaded: loaded)
            try communicator.barrier()
            _ = try cacheBytes(process)
            try process.orders.follow { limits in
                defer { ready() }
                let runner = try rank.runner(
                    limits: limits, cacheType: cacheType, footprint: footprint, progress: StepProgress())
                _ = try threadCount(place, process)
                return runner
            }
        } catch {
            process.breakUp.say("rank \(process.rank): \(error)")
        }
    }

    /// Memory that the KV cache of all ranks may take: so much that no machine gives more than a quarter of what it has
    /// left. Every rank asks at the same place, when all have loaded their weights.
    func cacheBytes(_ process: RankProcess) throws -> Int? {
        let here = cacheBytesPerToken(of: process.neighbours)
        let tokens = available.map { $0 / 4 / max(1, here) } ?? Int.max
        let least = try process.communicator().minimum(of: tokens)
        return least == .max ? nil : least * layout.cacheBytesPerToken(cacheType)
    }

    private func cacheBytesPerToken(of ranks: [Int]) -> Int {
        ranks.reduce(0) { sum, rank in
            let shard = layout.shard(ofRank: rank)
            return sum + shard.layers.count * shard.heads.cacheBytesPerToken(cacheType)
        }
    }

    /// Of all ranks.
    private func threadCount(_ place: LoadedRank.Place, _ process: RankProcess) throws -> Int {
        let counts = try process.communicator().exchange([UInt8(clamping: place.threads ?? 1)])
        return counts.reduce(0) { $0 + Int($1.first ?? 1) }
    }

    private func place(in process: RankProcess) -> LoadedRank.Place {
        LoadedRank.Place(
            shard: layout.shard(ofRank: process.rank),
            threads: process.seats.threadCount(
                of: process.rank, asked: options.threads, quota: ThreadPool.defaultThreadCount()),
            processors: process.seats.processors(of: process.rank))
    }
}
