import CCUDA
import MartletParallel

/// How the ranks that share layers exchange, found out once and alike on all of them: by NCCL, where all have it and a
/// GPU to themselves; else through the memory of the GPUs, where that is in reach; else through the host's.
final class RankExchange {
    enum Means {
        case nccl(NCCLExchange)
        case peers(PeerExchange)
        case host
    }

    private let communicator: any Communicator
    private let stream: DeviceStream
    private let group: PeerGroup?
    /// nil until the ranks have met.
    private var met: Means?
    /// The means in words, and why no better one; nil until the ranks have met.
    private(set) var summary: String?
    /// How often working memory of steps that are written down has moved, on whichever rank.
    private(set) var moveCount = 0
    private var generation = 0

    /// `group`: where all ranks are threads of this process.
    init(_ communicator: any Communicator, group: PeerGroup?, on stream: DeviceStream) {
        precondition(group == nil || group?.size == communicator.size, "a group of other ranks")
        (self.communicator, self.group, self.stream) = (communicator, group, stream)
    }

    /// Whether the ranks have met, and exchange without the host: their steps may be written down.
    var isOnStream: Bool { if case .nccl = met { true } else { false } }

    /// Every rank calls it at the same place.
    func means(_ staging: Staging) throws -> Means {
        if let met { return met }
        // Some may have more to get ready than others.
        try communicator.barrier()
        let found = try meet(staging)
        met = found
        return found
    }

    /// Ranks write steps down, and run what is written, all or none of them: NCCL asks for that. So what was written
    /// down is out of date on all when memory has moved on one. Every rank calls it behind a step that may have moved
    /// it.
    func agree(onMovesTo generation: Int) throws {
        let hasMoved = generation != self.generation
        self.generation = generation
        if try communicator.minimum(of: hasMoved ? 0 : 1) == 0 { moveCount += 1 }
    }

    private func meet(_ staging: Staging) throws -> Means {
        let offers = try communicator.exchange(try NCCLOffer(of: stream.device).encoded).map(NCCLOffer.init(decoding:))
        var reason = NCCLOffer.objection(to: offers)
        if reason == nil {
            switch try meetByNCCL() {
            case .success(let made):
                summary = "NCCL \(offers[0].versionText)"
                return .nccl(try NCCLExchange(made, ranks: communicator, on: stream, by: staging))
            case .failure(let error): reason = error.description
            }
        }
        let why = reason.map { " (\($0))" } ?? ""
        if let group {
            let peers = try PeerExchange(group, on: stream, communicator: communicator)
            if try peers.meet(staging) {
                summary = "the GPUs' memory\(why)"
                return .peers(peers)
            }
        }
        summary = "the host's memory\(why)"
        return .host
    }

    /// Fails on every rank where it does on one.
    private func meetByNCCL() throws -> Result<NCCLCommunicator, CUDAError> {
        let id = Result { () throws(CUDAError) in
            communicator.rank == 0 ? try NCCLCommunicator.makeID(stream.device.library) : []
        }
        // Rank 0 brings it; none tells the others that it could not be made.
        let shared = try communicator.exchange((try? id.get()) ?? [])[0]
        let made = id.flatMap { _ in
            Result { () throws(CUDAError) in
                guard !shared.isEmpty else { throw Self.failedElsewhere }
                return try NCCLCommunicator(shared, on: stream.device, ranks: communicator)
            }
        }
        let isMade = if case .success = made { true } else { false }
        guard try communicator.minimum(of: isMade ? 1 : 0) == 1 else {
            return made.flatMap { _ in .failure(Self.failedElsewhere) }
        }
        return made
    }

    private static let failedElsewhere = CUDAError.failed(call: "NCCL", code: 0, name: "on another rank")
}
