import MartletCPU
import MartletEngine
import MartletModels
import MartletParallel
import MartletTensor
import MartletVision
import Synchronization

/// Loads a model's ranks, those of a copy all at once: the lead rank on the thread that asks, the others on threads of
/// their own. Copies come one after the other and share the weights of the first, where the hardware lets them. No
/// cache is made before all weights are there: what these leave is known then, whoever else takes of the memory.
struct RankAssembly<Machine: Hardware> {
    let files: ModelFiles
    let options: ModelOptions
    let machine: Machine
    let layout: ParallelLayout
    let footprint: ModelFootprint
    let cacheType: DType
    /// nil for a model that does not see.
    let images: ImageProcessor?
    /// nil: the ranks are threads of this process.
    let process: RankProcess?

    /// Throws `ParallelError`, naming sizes that work, and `ImageError`.
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
        images = try ModelText.imageProcessor(files, arguments: options.processorArguments)
    }

    /// nil where no memory is set aside for pictures.
    var pictures: PictureLimits? {
        guard machine.pictureOperandBytes != nil else { return nil }
        let modelLength = files.configuration.decoder.maxPositions
        return images.map {
            PictureLimits(
                $0, askedLength: options.maxModelLength, modelLength: modelLength, size: options.parallel)
        }
    }

    /// All ranks of a copy as its engine sees them.
    struct Ranks {
        let runner: GroupRunner
        let threadCount: Int
        /// Of the stages of a pipeline.
        var trace: PipelineTrace?
        /// How those that share layers exchange, in words.
        var exchange: String?
        /// Of what a decode step multiplies with, where one rank does.
        var reading: MemoryReading?
    }

    /// Weights are the pages of a mapped file: processes have them in common.
    private var isMapped: Bool { files.isPacked && machine.mapsWeights }

    /// The ranks of this machine, by their seats.
    private var neighbours: [Int] { process?.neighbours ?? Array(0..<layout.size.rankCount) }

    /// Throws `AssemblyError` where a memory doesn't hold the weights of the ranks that keep them there.
    func checkWeights() throws(AssemblyError) {
        for memory in machine.memories(rankCount: neighbours.count) {
            let bytes = weightBytes(of: memory.seats)
            guard bytes <= memory.available else {
                throw .weightsExceedMemory(
                    weights: bytes, available: memory.available, device: options.device,
                    rankCount: memory.seats.count)
            }
        }
    }

    /// What the ranks in these seats keep as weights, in bytes: what several hold counts for each.
    private func weightBytes(of seats: [Int]) -> Int {
        // The copies of one process multiply with the first one's.
        let isShared = process == nil && machine.sharesWeights
        guard layout.shards.count > 1 else {
            return footprint.weightBytes * (isMapped || isShared ? 1 : seats.count)
        }
        let storage = WeightStorage(dtype: options.dtype, quantization: options.quantization)
        return seats.lazy.filter { !isShared || $0 < layout.shards.count }.reduce(0) {
            $0 + bytes(of: layout.shard(ofRank: neighbours[$1]), storage)
        }
    }

    /// What the ranks of this process read of the files, in bytes.
    private var fileBytes: Int {
        guard layout.shards.count > 1 else { return files.totalBytes }
        let shards = process.map { [layout.shard(ofRank: $0.rank)] } ?? layout.shards
        return shards.reduce(0) { $0 + bytes(of: $1, WeightStorage()) }
    }

    /// What the KV caches of all copies may take, in bytes, if nobody says (D10); nil = unknown. So much that no memory
    /// gives more than its share of what it has left: the ranks ask when all have loaded their weights, those of
    /// several processes each, at the same place.
    func cacheBytes() throws -> Int? {
        let here = machine.memories(rankCount: neighbours.count).map(cacheTokens).min() ?? Int.max
        let least = try process?.communicator().minimum(of: here) ?? here
        return least == .max ? nil : least * layout.cacheBytesPerToken(cacheType) * layout.size.data
    }

    /// Positions for which the ranks there find room in `memory`.
    private func cacheTokens(in memory: RankMemory) -> Int {
        var memory = memory
        // Pages of a mapped file count as free, and are not.
        if isMapped { memory.available = max(0, memory.available - files.totalBytes) }
        let bytesPerToken = memory.seats.reduce(0) { sum, seat in
            let shard = layout.shard(ofRank: neighbours[seat])
            return sum + shard.layers.count * shard.heads.cacheBytesPerToken(cacheType)
        }
        return max(0, machine.cacheBytes(in: memory) - pictureBytes(of: memory.seats)) / max(1, bytesPerToken)
    }

    /// What the ranks in these seats may come to hold of pictures, in bytes.
    private func pictureBytes(of seats: [Int]) -> Int {
        guard let pictures, let operandBytes = machine.pictureOperandBytes else { return 0 }
        return seats.lazy.compactMap { layout.shard(ofRank: neighbours[$0]).tower }.reduce(0) {
            $0 + pictures.bytes($1, operandBytes: operandBytes)
        }
    }

    private func bytes(of shard: Shard, _ storage: WeightStorage) -> Int {
        RankFootprint(
            shard, of: files.configuration, tensors: files.configuration.tensors(of: files.weights), storage: storage,
            cacheType: cacheType, rows: 0
        ).weightBytes
    }

    /// A runner of each copy. `sized` says what the caches of one may hold, once the weights of every rank are loaded,
    /// for so many steps in flight as suit the ranks.
    /// Throws what loading any rank throws, `CommunicatorError` with its words where it was not the lead's.
    func load(
        progress: @escaping @Sendable (_ bytes: Int, _ total: Int) -> Void,
        sized: (_ depth: Int) throws -> RunnerLimits
    ) throws -> [Ranks] {
        let count = LoadCount(total: fileBytes, show: progress), weights = SharedWeights<Machine.RankBackend>()
        if let process { return try lead(process, weights: weights, loaded: count.add, sized: sized) }
        let copies = try (0..<layout.size.data).map { try load(copy: $0, weights: weights, count: count) }
        let limits = try sized(copies.lazy.map(\.depth).min() ?? 1)
        return try copies.map { try $0.run(limits) }
    }

    /// A copy whose weights are loaded: makes its runner once it is told what the caches of one may hold.
    private struct LoadedCopy {
        /// Steps that may be in flight.
        let depth: Int
        let run: (RunnerLimits) throws -> Ranks
    }

    private func load(
        copy: Int, weights: SharedWeights<Machine.RankBackend>, count: LoadCount
    ) throws -> LoadedCopy {
        let places = places(ofCopy: copy)
        guard places.count > 1 else {
            let rank = try LoadedRank(
                files, options: options, on: machine, place: places[0], communicator: SoleCommunicator(),
                weights: weights, loaded: count.add)
            return LoadedCopy(depth: machine.depth(of: rank.backend)) { limits in
                let runner = try rank.runner(
                    limits: limits, cacheType: cacheType, footprint: footprint, progress: StepProgress())
                return Ranks(
                    runner: GroupRunner(lead: runner), threadCount: machine.threadCount(of: rank.backend),
                    reading: machine.reading(of: rank.weights.multiplied))
            }
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
        let rank = try Self.breakingUp(group) {
            let rank = try LoadedRank(
                files, options: options, on: machine, place: places[0], communicator: communicator,
                weights: weights, loaded: count.add)
            try communicator.barrier()
            return rank
        }
        return LoadedCopy(depth: machine.depth(of: rank.backend)) { limits in
            for follower in followers { follower.orders.put(.begin(limits)) }
            let runner = try Self.breakingUp(group) {
                try rank.runner(limits: limits, cacheType: cacheType, footprint: footprint, progress: leadProgress)
            }
            let threads = places.reduce(0) { $0 + ($1.threads ?? 1) }
            return Ranks(
                runner: GroupRunner(lead: runner, followers: followers, communicator: communicator),
                threadCount: threads, trace: trace, exchange: rank.exchange)
        }
    }

    /// What the lead cannot do, the others are told.
    private static func breakingUp<Result>(_ group: LocalGroup, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
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
