import MartletCPU
import MartletCore
import MartletEngine
import MartletParallel
import MartletTensor

@testable import MartletModels

/// The tiny model, or another, over ranks that are threads of this process.
struct RankedModel: Sendable {
    let model: TinyModel
    let layout: ParallelLayout
    let loadedBytes = LoadedBytes()

    init(_ model: TinyModel, tensor: Int, towerMode: TowerMode = .weights) throws {
        self.model = model
        let tensors = model.configuration.tensors(of: model.source)
        layout = try ParallelLayout(
            model.configuration, tensors: tensors, size: ParallelSize(tensor: tensor, towerMode: towerMode),
            storage: WeightStorage(quantization: model.quantization))
    }

    /// The model of rank `rank`, on a backend of its own.
    private func part(_ rank: Int, of group: LocalGroup) throws -> (TinyModel, CPUBackend) {
        var part = model
        part.shard = layout.shard(ofRank: rank)
        part.loaded = { loadedBytes.add($0, rank: rank) }
        return (part, try CPUBackend(threads: 1, communicator: group.communicator(ofRank: rank)))
    }

    /// Runs `body` on every rank; gives what rank 0 returns. The others' errors reach it as `CommunicatorError`.
    func run<Result>(_ body: @escaping @Sendable (TinyModel, CPUBackend) throws -> Result) throws -> Result {
        let group = LocalGroup(size: layout.shards.count)
        let threads = (1..<layout.shards.count).map { rank in
            FollowerThread(rank: rank, group: group, processors: []) { _ in
                let (part, backend) = try self.part(rank, of: group)
                _ = try body(part, backend)
            }
        }
        defer { withExtendedLifetime(threads) {} }
        do {
            let (part, backend) = try self.part(0, of: group)
            return try body(part, backend)
        } catch {
            group.breakUp("\(error)")
            throw error
        }
    }

    /// A runner over all ranks.
    func runner(blockCount: Int = 64, slotCount: Int = 32) throws -> GroupRunner<DecoderRunner<CPUBackend>> {
        let group = LocalGroup(size: layout.shards.count)
        let followers = (1..<layout.shards.count).map { rank in
            FollowerThread(rank: rank, group: group, processors: []) { orders in
                let (part, backend) = try self.part(rank, of: group)
                try orders.follow { _ in try part.runner(backend, blockCount: blockCount, slotCount: slotCount) }
            }
        }
        let (part, backend) = try self.part(0, of: group)
        let lead = try part.runner(backend, blockCount: blockCount, slotCount: slotCount)
        for follower in followers { follower.orders.put(.begin(lead.limits)) }
        return GroupRunner(lead: lead, followers: followers, communicator: group.communicator(ofRank: 0))
    }

    /// An engine over all ranks while `body` runs.
    func serve<Result: Sendable>(
        maxBatchedTokens: Int = 256, _ body: @Sendable (any GenerationEngine) async throws -> Result
    ) async throws -> Result {
        var configuration = EngineConfiguration()
        configuration.maxBatchedTokens = maxBatchedTokens
        configuration.maxRunningSequences = min(32, maxBatchedTokens)
        configuration.queueTimeoutSeconds = 3600
        configuration.endTokens = model.configuration.endTokens
        let engine = Engine(
            configuration: configuration, runner: try runner(blockCount: 256), seeds: SeedSource(seed: 1))
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await engine.run() }
            defer { group.cancelAll() }
            return try await body(engine)
        }
    }
}
