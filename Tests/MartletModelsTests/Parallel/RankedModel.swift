import MartletCPU
import MartletCore
import MartletEngine
import MartletParallel
import MartletTensor
import Synchronization
import Testing

@testable import MartletModels

/// The tiny model, or another, over ranks that are threads of this process.
struct RankedModel<B: Backend & SendableMetatype>: Sendable {
    let model: TinyModel
    /// What a rank computes on, with the ranks of its stage.
    let makeBackend: @Sendable (Shard, any Communicator) throws -> B
    let layout: ParallelLayout
    let loadedBytes = LoadedBytes()
    let trace: PipelineTrace
    /// Told of every launch of a rank before it begins, by its number; what it throws, the launch throws.
    var willLaunch: @Sendable (_ rank: Int, _ number: Int) throws -> Void = { _, _ in }

    init(
        _ model: TinyModel, tensor: Int = 1, pipeline: Int = 1, layerPartition: [Int]? = nil,
        towerMode: TowerMode = .weights, on makeBackend: @escaping @Sendable (Shard, any Communicator) throws -> B
    ) throws {
        self.model = model
        self.makeBackend = makeBackend
        let tensors = model.configuration.tensors(of: model.source)
        layout = try ParallelLayout(
            model.configuration, tensors: tensors,
            size: ParallelSize(
                tensor: tensor, pipeline: pipeline, layerPartition: layerPartition, towerMode: towerMode),
            storage: WeightStorage(quantization: model.quantization))
        trace = PipelineTrace(stageCount: layout.stages.count)
    }

    var group: LocalGroup {
        LocalGroup(
            size: layout.shards.count,
            messageLimit: max(2, StageLink.messageLimit(stageCount: layout.stages.count)))
    }

    /// The model of rank `rank`, on a backend of its own. `lead`: the progress of rank 0.
    func part(_ rank: Int, of group: LocalGroup, lead: StepProgress? = nil) throws -> (TinyModel, B) {
        let communicator = group.communicator(ofRank: rank)
        let shard = layout.shard(ofRank: rank)
        var part = model
        part.shard = shard
        part.ranks = group
        part.progress = StepProgress(of: lead, trace: shard.tensorRank == 0 ? trace : nil, stage: shard.stage)
        part.loaded = { loadedBytes.add($0, rank: rank) }
        return (part, try makeBackend(shard, communicator.subgroup(Array(shard.stageRanks))))
    }

    /// Runs `body` on every rank; gives what the first rank of the last stage returns. The others' errors reach rank 0
    /// as `CommunicatorError`.
    func run<Result: Sendable>(_ body: @escaping @Sendable (TinyModel, B) throws -> Result) throws -> Result {
        let group = group, results = Mutex<[Int: Result]>([:])
        let runRank = { @Sendable (rank: Int) in
            let (part, backend) = try self.part(rank, of: group)
            let result = try body(part, backend)
            results.withLock { $0[rank] = result }
            try group.communicator(ofRank: rank).barrier()
        }
        let threads = (1..<layout.shards.count).map { rank in
            FollowerThread(rank: rank, group: group, processors: []) { _ in try runRank(rank) }
        }
        defer { withExtendedLifetime(threads) {} }
        do {
            try runRank(0)
        } catch {
            group.breakUp("\(error)")
            throw error
        }
        let last = layout.size.tensor * (layout.size.pipeline - 1)
        guard let result = results.withLock({ $0[last] }) else { throw CommunicatorError(reason: "no result") }
        return result
    }

    /// A runner over all ranks.
    func runner(blockCount: Int = 64, slotCount: Int = 32) throws -> GroupRunner {
        let group = group
        let (first, backend) = try self.part(0, of: group)
        let progress = first.progress
        let followers = (1..<layout.shards.count).map { rank in
            FollowerThread(rank: rank, group: group, processors: []) { orders in
                let (part, backend) = try self.part(rank, of: group, lead: progress)
                try orders.follow { _ in
                    WatchedRunner(try part.runner(backend, blockCount: blockCount, slotCount: slotCount)) {
                        try willLaunch(rank, $0)
                    }
                }
            }
        }
        let lead = WatchedRunner(try first.runner(backend, blockCount: blockCount, slotCount: slotCount)) {
            try willLaunch(0, $0)
        }
        for follower in followers { follower.orders.put(.begin(lead.limits)) }
        return GroupRunner(lead: lead, followers: followers, communicator: group.communicator(ofRank: 0))
    }

    /// An engine over all ranks while `body` runs.
    func serve<Result: Sendable>(
        maxBatchedTokens: Int = 256, blockCount: Int = 256, speculation: SpeculationConfiguration? = nil,
        _ body: @Sendable (any GenerationEngine) async throws -> Result
    ) async throws -> Result {
        var configuration = EngineConfiguration()
        configuration.maxBatchedTokens = maxBatchedTokens
        configuration.maxRunningSequences = min(32, maxBatchedTokens)
        configuration.queueTimeoutSeconds = 3600
        configuration.speculation = speculation
        configuration.endTokens = model.configuration.endTokens
        let engine = Engine(
            configuration: configuration, runner: try runner(blockCount: blockCount), seeds: SeedSource(seed: 1))
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await engine.run() }
            defer { group.cancelAll() }
            return try await body(engine)
        }
    }
}

extension RankedModel where B == CPUBackend {
    init(
        _ model: TinyModel, tensor: Int = 1, pipeline: Int = 1, layerPartition: [Int]? = nil,
        towerMode: TowerMode = .weights
    ) throws {
        try self.init(
            model, tensor: tensor, pipeline: pipeline, layerPartition: layerPartition, towerMode: towerMode
        ) { try CPUBackend(threads: 1, communicator: $1) }
    }
}

extension GenerationEngine {
    /// Runs all `requests` at once.
    func completeTogether(_ requests: [GenerationRequest]) async throws -> [[Outcome]] {
        try await withThrowingTaskGroup(of: (Int, [Outcome]).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask { (index, try await self.complete(request)) }
            }
            var outcomes = [[Outcome]](repeating: [], count: requests.count)
            for try await (index, outcome) in group { outcomes[index] = outcome }
            return outcomes
        }
    }
}

extension GenerationRequest {
    /// Eight tokens with their log-probabilities.
    static func greedy(_ prompt: Prompt, maxTokens: Int = 8) -> GenerationRequest {
        var sampling = SamplingParameters()
        sampling.temperature = 0
        sampling.maxTokens = maxTokens
        sampling.ignoresEndOfGeneration = true
        sampling.logprobCount = 5
        return GenerationRequest(prompt: prompt, sampling: sampling)
    }
}

/// The same tokens, and log-probabilities within 1e-4.
func expectNear(_ found: Outcome, _ expected: Outcome, _ what: String) {
    #expect(found.tokens.map(\.token) == expected.tokens.map(\.token), "\(what)")
    for (one, other) in zip(found.tokens, expected.tokens) {
        let difference = (one.logprob ?? .nan) - (other.logprob ?? .nan)
        #expect(abs(difference) <= 1e-4, "\(what): \(difference)")
    }
}
