import CCUDA
import MartletParallel
import Synchronization

/// Where ranks that are threads of this process, on GPUs that reach each other's memory or on one, show each other
/// what they bring to a sum. One for the ranks that share layers.
package final class PeerGroup: Sendable {
    let size: Int
    private let places: Mutex<[PeerMailbox?]>

    package init(size: Int) {
        self.size = size
        places = Mutex(Array(repeating: nil, count: size))
    }

    fileprivate func show(_ mailbox: PeerMailbox?, rank: Int) { places.withLock { $0[rank] = mailbox } }

    /// nil unless every rank shows one.
    fileprivate var mailboxes: [PeerMailbox]? {
        let all = places.withLock { $0 }.compactMap { $0 }
        return all.count == size ? all : nil
    }
}

/// What one rank brings: two pieces of memory in turn, and when they are written and when it has read the others'.
/// `@unchecked Sendable`: it does not change; a stream is used by its own rank, events are for others to wait for.
private final class PeerMailbox: @unchecked Sendable {
    let memory: DeviceBuffer
    let written, read: [DeviceEvent]
    let device: CUDADevice

    init(on stream: DeviceStream) throws(CUDAError) {
        device = stream.device
        memory = try DeviceBuffer(2 * PeerExchange.pieceBytes, for: .workspace, on: stream)
        written = [try DeviceEvent(on: stream), try DeviceEvent(on: stream)]
        read = [try DeviceEvent(on: stream), try DeviceEvent(on: stream)]
    }

    func address(_ turn: Int) -> CUdeviceptr { memory.address + UInt64(turn * PeerExchange.pieceBytes) }
}

/// Sums over ranks by the devices themselves, in order of rank (D6): each shows its part, and reads all of them. The
/// ranks meet once a sum, so that nobody waits for what was not yet begun; that a part may be overwritten follows from
/// the meeting before.
final class PeerExchange {
    fileprivate static let pieceBytes = 4 << 20
    /// Elements of a piece.
    private static let pieceCount = pieceBytes / MemoryLayout<Float>.stride

    private let group: PeerGroup
    private let stream: DeviceStream
    private let communicator: any Communicator
    private let own: PeerMailbox
    /// Of every rank's pieces, [2, ranks].
    private let addresses: DeviceBuffer
    /// In order of rank; empty until they have met, or where one does not reach another.
    private var all: [PeerMailbox] = []
    private var turn = 0

    init(_ group: PeerGroup, on stream: DeviceStream, communicator: any Communicator) throws(CUDAError) {
        precondition(group.size == communicator.size, "a group of \(group.size) for \(communicator.size) ranks")
        (self.group, self.stream, self.communicator) = (group, stream, communicator)
        own = try PeerMailbox(on: stream)
        addresses = try DeviceBuffer(2 * group.size * 8, for: .workspace, on: stream)
        group.show(own, rank: communicator.rank)
    }

    /// Others' memory is read no more when theirs may go.
    deinit { try? stream.synchronize() }

    /// Every rank calls it, before anything else. False, on every rank, where they do not reach each other's memory.
    func meet(_ staging: Staging) throws -> Bool {
        try communicator.barrier()
        let shown = group.mailboxes ?? []
        let reaches = try !shown.isEmpty && shown.allSatisfy { try stream.device.reaches($0.device) }
        guard try communicator.minimum(of: reaches ? 1 : 0) == 1 else { return false }
        try staging.copy([0, 1].flatMap { turn in shown.map { $0.address(turn) } }, to: addresses.address)
        all = shown
        return true
    }

    /// x = the sum of every rank's x, [count].
    func sum(_ count: Int, at x: CUdeviceptr, by backend: CUDABackend) throws {
        for first in stride(from: 0, to: count, by: Self.pieceCount) {
            try sumPiece(min(Self.pieceCount, count - first), at: x + UInt64(first * 4), by: backend)
        }
    }

    private func sumPiece(_ count: Int, at x: CUdeviceptr, by backend: CUDABackend) throws {
        // The others have read what was here two sums ago: they recorded that before the last meeting.
        for peer in all where peer !== own { try stream.wait(for: peer.read[turn]) }
        try stream.copy(count * MemoryLayout<Float>.stride, from: x, to: own.address(turn))
        try own.written[turn].record()
        try communicator.barrier()
        for peer in all where peer !== own { try stream.wait(for: peer.written[turn]) }
        try backend.sumRanks(
            count, of: all.count, parts: addresses.address + UInt64(turn * all.count * 8), into: x)
        try own.read[turn].record()
        turn = 1 - turn
    }
}

extension CUDADevice {
    /// Whether this device may read the other's memory from now on.
    fileprivate func reaches(_ peer: CUDADevice) throws(CUDAError) -> Bool {
        if peer.description.ordinal == description.ordinal { return true }
        var can: Int32 = 0
        try library.check(library.api.cuDeviceCanAccessPeer(&can, handle, peer.handle), "cuDeviceCanAccessPeer")
        guard can != 0 else { return false }
        try makeCurrent()
        let result = library.api.cuCtxEnablePeerAccess(peer.context, 0)
        if result == CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED { return true }
        try library.check(result, "cuCtxEnablePeerAccess")
        return true
    }
}
