import MartletCUDA
import MartletModels
import MartletParallel
import MartletTensor
import Synchronization

/// NVIDIA's GPUs: one for each rank, or several ranks on one where there are not so many.
struct CUDAHardware: Hardware {
    let options: ModelOptions
    /// What products read: f32, f16 or bf16.
    let operandType: DType
    /// In what products of many rows with quantised weights multiply, the tower's apart; nil: operands.
    let eightBits: EightBits?
    private let library: CUDALibrary
    private let deviceCount: Int
    private let cache: KernelCache
    private let peers: PeerGroups

    let sharesWeights = false
    let mapsWeights = false

    /// For a model of this `configuration`. `library`: nil = what the system has. Throws `CUDAError` where there is no
    /// GPU that will do, `UsageError` for a model that none can compute.
    init(
        _ options: ModelOptions, _ configuration: ModelConfiguration, library: CUDALibrary? = nil,
        environment: [String: String]
    ) throws {
        try Self.check(configuration)
        self.options = options
        operandType = Self.operandType(ofWeights: options.dtype ?? configuration.dtype)
        self.library = try library ?? Self.library(environment)
        let devices = try CUDADevices.visible(self.library)
        guard !devices.isEmpty else { throw CUDAError.noDevice }
        deviceCount = min(devices.count, options.parallel.rankCount)
        let oldest = devices.prefix(deviceCount).lazy.map(\.architecture).min() ?? 0
        eightBits = options.eightBits.flatMap { $0.leastArchitecture <= oldest ? $0 : nil }
        cache = KernelCache(environment: environment)
        peers = PeerGroups(size: options.parallel.tensor)
    }

    /// What products read. Those of some models leave the range of f16, never that of bf16.
    static func operandType(ofWeights type: DType) -> DType { type.isQuantized ? .bf16 : type }

    /// Throws `UsageError` unless kernels take heads of such a model.
    static func check(_ configuration: ModelConfiguration) throws(UsageError) {
        let widest = max(configuration.decoder.heads.dimension, configuration.vision?.headDimension ?? 0)
        guard widest <= CUDABackend.maximumHeadDimension else {
            throw UsageError(
                "The model's heads have \(widest) dimensions, and a GPU takes up to "
                    + "\(CUDABackend.maximumHeadDimension). Serve it with --device cpu.")
        }
    }

    /// What the system has, or the folders that MARTLET_CUDA_PATH names.
    static func library(_ environment: [String: String]) throws(CUDAError) -> CUDALibrary {
        let folders = (environment["MARTLET_CUDA_PATH"] ?? "").split(separator: ":").map(String.init)
        return try CUDALibrary.found(folders: folders)
    }

    func backend(at place: RankPlace, communicator: any Communicator) throws -> CUDABackend {
        try backend(
            seat: place.seat, threads: place.threads, communicator: communicator,
            peers: place.copy.flatMap { peers.group(ofCopy: $0, stage: place.shard.stage) })
    }

    func soleBackend() throws -> CUDABackend {
        try backend(seat: 0, threads: options.threads, communicator: SoleCommunicator(), peers: nil)
    }

    /// `threads`: of the host, which load.
    private func backend(
        seat: Int, threads: Int?, communicator: any Communicator, peers: PeerGroup?
    ) throws -> CUDABackend {
        try CUDABackend(
            CUDADevice(seat % deviceCount, of: library), operandType: operandType, threads: threads, cache: cache,
            communicator: communicator, peers: peers, capturesGraphs: options.capturesGraphs, eightBits: eightBits)
    }

    func exchange(of backend: CUDABackend) throws -> String? { try backend.rankExchangeSummary() }

    /// One step more where the host waits for nothing but tokens.
    func depth(of backend: CUDABackend) -> Int { backend.runsWithoutHost ? 2 : 1 }

    /// In f16 the tower and its merger would overflow on some pictures: they compute in bf16, which takes no more. And
    /// where a row's values are of very different sizes, 8 bits are too few.
    func towerBackend(beside backend: CUDABackend) -> CUDABackend {
        guard operandType == .f16 || eightBits != nil else { return backend }
        return backend.beside(operandType: operandType == .f16 ? .bf16 : operandType)
    }

    func threadCount(of backend: CUDABackend) -> Int { 1 }

    func cacheType(ofWeights type: DType) -> DType { operandType }

    /// Of each GPU that ranks compute on.
    func memories(rankCount: Int) -> [RankMemory] {
        (0..<min(deviceCount, rankCount)).compactMap { device in
            guard let memory = try? CUDADevice(device, of: library).memory() else { return nil }
            return RankMemory(
                seats: Array(stride(from: device, to: rankCount, by: deviceCount)), total: memory.total,
                available: memory.free)
        }
    }

    var pictureOperandBytes: Int? { operandType.blockBytes }

    /// What `--gpu-memory-utilization` leaves of a GPU.
    func cacheBytes(in memory: RankMemory) -> Int {
        CacheRoom(
            total: memory.total, free: memory.available, utilization: options.deviceMemoryShare,
            rankCount: memory.seats.count
        ).cacheBytes
    }
}

/// Who exchanges through the memory of GPUs: ranks of one stage of one copy of a model, threads of this process.
private final class PeerGroups: Sendable {
    private let size: Int
    private let groups = Mutex<[[Int]: PeerGroup]>([:])

    /// `size` of a group.
    init(size: Int) { self.size = size }

    /// nil where a rank has a stage to itself.
    func group(ofCopy copy: Int, stage: Int) -> PeerGroup? {
        guard size > 1 else { return nil }
        return groups.withLock { groups in
            let group = groups[[copy, stage]] ?? PeerGroup(size: size)
            groups[[copy, stage]] = group
            return group
        }
    }
}
