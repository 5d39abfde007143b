import MartletCPU
import MartletParallel
import MartletTensor

/// What the ranks of a model compute on: it makes the backend of each, and knows how much memory there is.
protocol Hardware: Sendable {
    associatedtype RankBackend: Backend

    /// Whether copies of a model in one process multiply with the same memory.
    var sharesWeights: Bool { get }
    /// Whether ready-packed weights stay the pages of their file.
    var mapsWeights: Bool { get }

    /// What a model of one rank computes on.
    func soleBackend() throws -> RankBackend
    /// What the rank at `place` computes on, with the ranks of its stage.
    func backend(at place: RankPlace, communicator: any Communicator) throws -> RankBackend
    /// How the ranks that share layers with this one exchange, in words; nil where there is nothing to say. All of them
    /// call it at once, and find it out.
    func exchange(of backend: RankBackend) throws -> String?
    /// Steps that may be in flight on the ranks that share layers with this one, which have met (D3).
    func depth(of backend: RankBackend) -> Int
    /// What that rank's vision tower computes on.
    func towerBackend(beside backend: RankBackend) -> RankBackend
    /// Threads that compute for a rank.
    func threadCount(of backend: RankBackend) -> Int

    /// Reads the weights of `matrices` where they lie; nil where nobody can.
    func reading(of matrices: [RankBackend.Matrix]) -> MemoryReading?

    /// What a KV cache keeps where nobody says, of a model whose weights are stored as `type`.
    func cacheType(ofWeights type: DType) -> DType

    /// Memories as they are now, of `rankCount` ranks on this machine; empty = unknown.
    func memories(rankCount: Int) -> [RankMemory]
    /// What the KV caches of the ranks there may take, in bytes, where all hold their weights (D10).
    func cacheBytes(in memory: RankMemory) -> Int
    /// Bytes of an element that products of a tower read, where memory is set aside for pictures; nil where there is
    /// enough beside the caches.
    var pictureOperandBytes: Int? { get }
}

extension Hardware {
    func exchange(of backend: RankBackend) throws -> String? { nil }
    func reading(of matrices: [RankBackend.Matrix]) -> MemoryReading? { nil }
}

/// The processors of this machine.
struct CPUHardware: Hardware {
    let options: ModelOptions

    let sharesWeights = true
    var mapsWeights: Bool { !options.copiesPanels }

    func backend(at place: RankPlace, communicator: any Communicator) throws -> CPUBackend {
        try CPUBackend(
            threads: place.threads, activations: options.activations, copiesPanels: options.copiesPanels,
            processors: place.processors, communicator: communicator)
    }

    func soleBackend() throws -> CPUBackend {
        try CPUBackend(
            threads: options.threads, activations: options.activations, copiesPanels: options.copiesPanels)
    }

    func towerBackend(beside backend: CPUBackend) -> CPUBackend { backend }

    /// A step leaves it nothing to do beside.
    func depth(of backend: CPUBackend) -> Int { 1 }

    func threadCount(of backend: CPUBackend) -> Int { backend.pool.threadCount }

    func reading(of matrices: [CPUBackend.Matrix]) -> MemoryReading? { MemoryReading(matrices) }

    /// The weights' precision; for quantised weights, half precision.
    func cacheType(ofWeights type: DType) -> DType { type.isQuantized ? .f16 : type }

    func memories(rankCount: Int) -> [RankMemory] {
        guard let memory = HostMemory.read() else { return [] }
        return [RankMemory(seats: Array(0..<rankCount), total: memory.total, available: memory.available)]
    }

    func cacheBytes(in memory: RankMemory) -> Int { memory.available / 4 }

    var pictureOperandBytes: Int? { nil }
}
