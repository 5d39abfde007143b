import DequeModule
import Synchronization

/// The other side of one connection: what is to be told to it, from any thread, and what has arrived, on the link's.
final class LinkPeer: Sendable {
    let rank: Int
    let socket: LinkSocket
    /// What arrived before the link began.
    let reader: LinkFrameReader
    private let outbox = Mutex(Outbox())

    private struct Outbox {
        var frames = Deque<[UInt8]>()
        /// Bytes of the first that have gone.
        var offset = 0
        var byteCount = 0
        var isClosed = false
    }

    /// Bytes that may wait for one rank; more say that it does not read.
    private static let outboxBytes = 1 << 30

    init(rank: Int, socket: LinkSocket, reader: LinkFrameReader = LinkFrameReader()) {
        self.rank = rank
        self.socket = socket
        self.reader = reader
    }

    enum Delivery: Equatable {
        case gone
        /// Some is left for when the connection takes more.
        case waiting
        case failed(String)
    }

    /// Sends what the connection takes now; the rest waits in order. Never waits itself.
    func tell(_ frame: [UInt8]) -> Delivery {
        outbox.withLock { box in
            guard !box.isClosed else { return .gone }
            guard box.byteCount + frame.count <= Self.outboxBytes else { return .failed("it does not read") }
            box.frames.append(frame)
            box.byteCount += frame.count
            // Behind others it comes in its turn.
            return box.frames.count == 1 ? flush(&box) : .waiting
        }
    }

    func flush() -> Delivery { outbox.withLock { flush(&$0) } }

    var hasMore: Bool { outbox.withLock { !$0.isClosed && !$0.frames.isEmpty } }

    private func flush(_ box: inout Outbox) -> Delivery {
        while !box.isClosed, let frame = box.frames.first {
            let outcome = frame.withUnsafeBytes { socket.write(UnsafeRawBufferPointer(rebasing: $0[box.offset...])) }
            switch outcome {
            case .nothing: return .waiting
            case .closed(let reason): return .failed(reason)
            case .bytes(let count): box.offset += count
            }
            guard box.offset == frame.count else { continue }
            box.byteCount -= frame.count
            box.offset = 0
            box.frames.removeFirst()
        }
        return .gone
    }

    /// Nothing is said to it any more, and nothing heard, from any thread. The descriptor stays until the last user is
    /// gone: another connection could get its number.
    func close() {
        outbox.withLock { box in
            guard !box.isClosed else { return }
            box = Outbox(isClosed: true)
            socket.shutdown()
        }
    }

    deinit { socket.close() }
}
