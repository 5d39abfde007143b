import MartletCPU
import MartletEngine
import MartletModels
import MartletParallel
import MartletTensor
import Synchronization

/// Loads a model's ranks, those of a copy all at once: the lead rank on the thread that asks, the others on threads of
/// their own. Copies come one after the other and share the weights of the first.
struct RankAssembly<Machine: Hardware> {
    let files: ModelFiles
    let options: ModelOptions
    let machine: Machine
    let layout: ParallelLayout
    let footprint: ModelFootprint
    let cacheType: DType
    /// nil: the ranks are threads of this process.
    let process: RankProcess?

    /// Throws `ParallelError`, naming sizes that work.
    init(_ files: ModelFiles, options: ModelOptions, on machine: Machine, process: RankProcess? = nil) throws {
        self.files = files
        self.options = options
        self.machine = machine
        self.process = process
        layout = try ParallelLayout(files, options: options)
        footprint = ModelFootprint(
            files.configuration, dtype: options.dtype, quantization: options.quantization,
            weightBytes: files.isPacked ? files.totalBytes : nil)
        let weightType = options.quantization == .none ? files.configuration.dtype : .q8_0
        cacheType = options.cacheType ?? options.dtype ?? machine.cacheType(ofWeights: weightType)
    }

    /// All ranks of a copy as its engine sees them.
    struct Ranks {
        let runner: GroupRunner
        let threadCount: Int
        /// Of the stages of a pipeline.
        var trace: PipelineTrace?
        /// Of what a decode step multiplies with, where one rank does.
        var reading: MemoryReading?
    }

    /// Weights are the pages of a mapped file: processes have them in common.
    private var isMapped: Bool { files.isPacked && machine.mapsWeights }

    /// What the ranks of this machine keep as weights, in bytes: what several hold counts for each.
    var weightBytes: Int {
        guard layout.shards.count > 1 else {
            return footprint.weightBytes * (isMapped ? 1 : process?.neighbours.count ?? 1)
        }
        let storage = WeightStorage(dtype: options.dtype, quantization: options.quantization)
        let shards = process.map { $0.neighbours.map(layout.shard) } ?? layout.shards
        return shards.reduce(0) { $0 + bytes(of: $1, storage) }
    }

    /// What the ranks of this process read of the files, in bytes.
    private var fileBytes: Int {
        guard layout.shards.count > 1 else { return files.totalBytes }
        let shards = process.map { [layout.shard(ofRank: $0.rank)] } ?? layout.shards
        return shards.reduce(0) { $0 + bytes(of: $1, WeightStorage()) }
    }

    /// Memory that is left, in bytes, once the weights are loaded; nil = unknown.
    var available: Int? {
        // Pages of a mapped file count as free, and are not.
        machine.availableBytes().map {
            isMapped ? max(0, $0 - files.totalBytes) : $0
        }
    }

    /// What the KV cache of all ranks may take, in bytes, if nobody says (D10); nil = unknown. Of ranks in several
    /// processes every one asks, at the same place.
    func cacheBytes() throws -> Int? {
        guard let process else { return available.map(machine.cacheBytes) }
        return try cacheBytes(process)
    }

    private func bytes(of shard: Shard, _ storage: WeightStorage) -> Int {
        RankFootprint(
            shard, of: files.configuration, tensors: files.configuration.tensors(of: files.weights), storage: storage,
            cacheType: cacheType, rows: 0
        ).weightBytes
    }

    /// A runner of each copy. `sized` says what the caches of one may hold, once the weights of every rank are loaded.
    /// Throws what loading any rank throws, `CommunicatorError` with its words where it was not the lead's.
    func load(
        progress: @escaping @Sendable (_ bytes: Int, _ total: Int) -> Void, sized: () throws -> RunnerLimits
    ) throws -> [Ranks] {
        let count = LoadCount(total: fileBytes, show: progress), weights = SharedWeights<Machine.RankBackend>()
        if let process { return try lead(process, weights: weights, loaded: count.add, sized: sized) }
        var limits: RunnerLimits?
        return try (0..<layout.size.data).map { copy in
            try load(copy: copy, weights: weights, count: count) {
                let found = try limits ?? sized()
                limits = found
                return found
            }
        }
    }

    private func load(
        copy: Int, weights: SharedWeights<Machine.RankBackend>, count: LoadCount, sized: () throws -> RunnerLimits
    ) throws -> Ranks {
        let places = places(ofCopy: copy)
        guard places.count > 1 else {
            let rank = try LoadedRank(
                files, options: options, on: machine, place: places[0], communicator: SoleCommunicator(),
                weights: weights, loaded: count.add)
            let runner = try rank.runner(
                limits: sized(), cacheType: cacheType, footprint: footprint, progress: StepProgress())
            return Ranks(
                runner: GroupRunner(lead: runner), threadCount: machine.threadCount(of: rank.backend),
                reading: machine.reading(of: rank.weights.multiplied))
        }
        let stageCount = layout.stages.count
        let trace = stageCount > 1 ? PipelineTrace(stageCount: stageCount) : nil
        let leadProgress = StepProgress(trace: trace)
        let group = LocalGroup(
            size: places.count, messageLimit: StageLink.messageLimit(stageCount: stageCount))
        let communicator = group.communicator(ofRank: 0)
        let followers = (1..<places.count).map { rank in
            let shard = places[rank].shard
            return follower(
                rank, at: places[rank], of: group, weights: weights, count: count,
                // Of each stage the first rank reports: the others wait for it in every layer.
                progress: StepProgress(
                    of: leadProgress, trace: shard.tensorRank == 0 ? trace : nil, stage: shard.stage))
        }
        do {
            let rank = try LoadedRank(
                files, options: options, on: machine, place: places[0], communicator: communicator,
                weights: weights, loaded: count.add)
            try communicator.barrier()
            let limits = try sized()
            for follower in followers { follower.orders.put(.begin(limits)) }
            let runner = try rank.runner(
                limits: limits, cacheType: cacheType, footprint: footprint, progress: leadProgress)
            let threads = places.reduce(0) { $0 + ($1.threads ?? 1) }
            return Ranks(
                runner: GroupRunner(lead: runner, followers: followers, communicator: communicator),
                threadCount: threads, trace: trace)
        } catch {
            group.breakUp("\(error)")
            throw error
        }
    }

    private func follower(
        _ index: Int, at place: RankPlace, of group: LocalGroup,
        weights: SharedWeights<Machine.RankBackend>, count: LoadCount,
        progress: StepProgress
    ) -> FollowerThread {
        let (files, options, machine, cacheType, footprint) = (files, options, machine, cacheType, footprint)
        return FollowerThread(rank: index, group: group, processors: place.processors) { orders in
            let communicator = group.communicator(ofRank: index)
            let rank = try LoadedRank(
                files, options: options, on: machine, place: place, communicator: communicator, weights: weights,
                loaded: count.add)
            try communicator.barrier()
            try orders.follow {
                try rank.runner(limits: $0, cacheType: cacheType, footprint: footprint, progress: progress)
            }
        }
    }

    /// Threads and processors are shared out evenly over the ranks of all copies; a rank alone is left where the system
    /// puts it. So is a lead rank's own thread, which is the engine's: what the others leave is where it goes.
    private func places(ofCopy copy: Int) -> [RankPlace] {
        let shards = layout.shards, count = layout.size.rankCount
        guard count > 1 else {
            return [RankPlace(shard: shards[0], seat: 0, copy: 0, threads: options.threads, processors: [])]
        }
        let threads = options.threads ?? ThreadPool.defaultThreadCount()
        let processors = ThreadAffinity.shares(of: ThreadAffinity.processors(), over: count)
        return shards.enumerated().map { index, shard in
            let rank = copy * shards.count + index
            let share = threads * (rank + 1) / count - threads * rank / count
            return RankPlace(
                shard: shard, seat: rank, copy: copy, threads: max(1, share), processors: processors[rank])
        }
    }
}

extension ParallelLayout {
    /// The layout that the options ask for. Throws `ParallelError`, naming sizes that work.
    init(_ files: ModelFiles, options: ModelOptions) throws(ParallelError) {
        try self.init(
            files.configuration, tensors: files.configuration.tensors(of: files.weights), size: options.parallel,
            storage: WeightStorage(dtype: options.dtype, quantization: options.quantization))
    }
}

/// Bytes that the ranks have read, counted over all of them.
private final class LoadCount: Sendable {
    private let done = Mutex(0)
    private let total: Int
    private let show: @Sendable (Int, Int) -> Void

    init(total: Int, show: @escaping @Sendable (Int, Int) -> Void) {
        self.total = total
        self.show = show
    }

    func add(_ bytes: Int) {
        done.withLock { done in
            done += bytes
            show(done, total)
        }
    }
}
