import CCUDA
import Foundation
import MartletParallel
import Synchronization

/// A rank's part of a NCCL communicator: ranks on GPUs of their own, who exchange on their streams. Every rank makes
/// the same calls in the same order, from one thread at a time.
///
/// A rank that is gone would leave the others' streams waiting for ever: whoever waits for such a stream asks
/// `isSound`, which ends the communicator once the ranks no longer work together, and with it all that waits.
final class NCCLCommunicator {
    /// The least NCCL whose calls can be written down in graphs by ranks of one process.
    static let leastVersion = 21100

    private let device: CUDADevice
    private let nccl: martlet_nccl
    /// The same ranks, where they meet on the host.
    private let ranks: any Communicator
    /// nil once it is ended.
    private var handle: ncclComm_t?
    /// Why it was ended.
    private(set) var failure: CUDAError?

    private var library: CUDALibrary { device.library }

    /// How long ranks may take to find each other, all of which have come by then.
    private static let meetingSeconds = 60.0
    /// How long to wait until a communicator is given back, which may in turn wait for the other ranks of this machine.
    private static let partingSeconds = 1.0

    /// Which NCCL there is, 21100 for 2.11.0; nil where there is none that says so.
    static func version(of library: CUDALibrary) -> Int? {
        var version: Int32 = 0
        guard let nccl = library.nccl, nccl.ncclGetVersion(&version) == ncclSuccess else { return nil }
        return Int(version)
    }

    /// What the ranks of a new communicator find each other by; one of them asks for it and tells the others.
    static func makeID(_ library: CUDALibrary) throws(CUDAError) -> [UInt8] {
        guard let nccl = library.nccl else { preconditionFailure("no NCCL") }
        var id = ncclUniqueId()
        try library.check(nccl.ncclGetUniqueId(&id), "ncclGetUniqueId")
        return withUnsafeBytes(of: &id) { Array($0) }
    }

    /// Every rank of `ranks` calls it with the same `id`, each for a GPU of its own. Throws `CUDAError` where they do
    /// not find each other within a minute.
    init(_ id: [UInt8], on device: CUDADevice, ranks: any Communicator) throws(CUDAError) {
        guard let nccl = device.library.nccl else { preconditionFailure("no NCCL") }
        (self.device, self.nccl, self.ranks) = (device, nccl, ranks)
        var shared = ncclUniqueId()
        withUnsafeMutableBytes(of: &shared) { $0.copyBytes(from: id.prefix($0.count)) }
        let unique = shared, count = Int32(ranks.size), rank = Int32(ranks.rank)
        let made = Self.apart(within: Self.meetingSeconds) { () -> Outcome in
            var handle: ncclComm_t?
            try? device.makeCurrent()
            let code = nccl.ncclCommInitRank(&handle, count, unique, rank)
            return Outcome(code: code, address: UInt(bitPattern: handle))
        }
        guard let made else {
            throw .failed(call: "ncclCommInitRank", code: 0, name: "no answer in \(Int(Self.meetingSeconds)) s")
        }
        try device.library.check(made.code, "ncclCommInitRank")
        handle = OpaquePointer(bitPattern: made.address)
    }

    private struct Outcome: Sendable {
        let code: ncclResult_t
        let address: UInt
    }

    deinit {
        guard let handle else { return }
        let (device, nccl) = (device, nccl)
        _ = Self.apart(within: Self.partingSeconds) { () -> Bool in
            try? device.makeCurrent()
            return nccl.ncclCommDestroy(handle) == ncclSuccess
        }
    }

    // MARK: Exchanges

    /// Puts what `body` asks for on the stream as one exchange: none of it waits for another.
    func together(_ body: () throws(CUDAError) -> Void) throws(CUDAError) {
        try library.check(nccl.ncclGroupStart(), "ncclGroupStart")
        do throws(CUDAError) {
            try body()
        } catch {
            // The group must be closed: what comes next is not of it.
            _ = nccl.ncclGroupEnd()
            throw error
        }
        try library.check(nccl.ncclGroupEnd(), "ncclGroupEnd")
    }

    /// `count` f32 values at `x` for rank `target`, which is to receive as many.
    func send(_ count: Int, at x: CUdeviceptr, to target: Int, on stream: DeviceStream) throws(CUDAError) {
        guard count > 0 else { return }
        let code = nccl.ncclSend(try pointer(x), count, ncclFloat32, Int32(target), try sound(), stream.handle)
        try library.check(code, "ncclSend")
    }

    /// The `count` f32 values that rank `source` sends next, at `x`.
    func receive(_ count: Int, at x: CUdeviceptr, from source: Int, on stream: DeviceStream) throws(CUDAError) {
        guard count > 0 else { return }
        let code = nccl.ncclRecv(try pointer(x), count, ncclFloat32, Int32(source), try sound(), stream.handle)
        try library.check(code, "ncclRecv")
    }

    /// `count` f32 values at `x`, as rank `root` has them there.
    func broadcast(_ count: Int, at x: CUdeviceptr, from root: Int, on stream: DeviceStream) throws(CUDAError) {
        guard count > 0 else { return }
        let place = try pointer(x)
        let code = nccl.ncclBroadcast(place, place, count, ncclFloat32, Int32(root), try sound(), stream.handle)
        try library.check(code, "ncclBroadcast")
    }

    private func sound() throws(CUDAError) -> ncclComm_t {
        if let handle { return handle }
        throw failure ?? .failed(call: "NCCL", code: 0, name: "no communicator")
    }

    private func pointer(_ address: CUdeviceptr) throws(CUDAError) -> UnsafeMutableRawPointer {
        guard let pointer = UnsafeMutableRawPointer(bitPattern: UInt(address)) else {
            throw .failed(call: "NCCL", code: 0, name: "no memory")
        }
        return pointer
    }

    // MARK: The end

    /// Whether what waits here may still come to its end. Ends the communicator where it may not.
    func isSound() -> Bool {
        guard failure == nil, let handle else { return false }
        do {
            try ranks.check()
            var error = ncclSuccess
            try library.check(nccl.ncclCommGetAsyncError(handle, &error), "ncclCommGetAsyncError")
            // Work goes on behind its calls.
            if error != ncclInProgress { try library.check(error, "an exchange by NCCL") }
            return true
        } catch let error as CommunicatorError {
            end(.ranksLost(reason: error.description))
        } catch {
            end(error as? CUDAError ?? .failed(call: "NCCL", code: 0, name: "\(error)"))
        }
        return false
    }

    /// What waits on a stream is let go; nothing is exchanged any more.
    private func end(_ failure: CUDAError) {
        self.failure = failure
        guard let handle else { return }
        self.handle = nil
        let (device, nccl) = (device, nccl)
        _ = Self.apart(within: Self.partingSeconds) { () -> Bool in
            try? device.makeCurrent()
            return nccl.ncclCommAbort(handle) == ncclSuccess
        }
    }

    /// What `body` gives, which runs on a thread of its own, since it may wait for ranks that never come; nil where it
    /// takes longer, or where there is no thread to be had.
    private static func apart<Result: Sendable>(
        within seconds: Double, _ body: @escaping () -> Result
    ) -> Result? {
        let found = Handover<Result>()
        guard let thread = startThread(name: "martlet-nccl", { found.put(body()) }) else { return nil }
        pthread_detach(thread)
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            if let result = found.result { return result }
            guard ContinuousClock.now < deadline else { return nil }
            usleep(200)
        }
    }
}

/// What one thread has found for another.
private final class Handover<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)

    var result: Value? { value.withLock { $0 } }

    func put(_ value: Value) { self.value.withLock { $0 = value } }
}
