import CMPI
import Foundation
import Synchronization

@testable import MartletParallel

/// A world of MPI whose ranks are threads of this process: the functions of the table, with messages on a board. A
/// message needs a few looks to arrive, so that nothing is done at once.
final class MessageBoard: Sendable {
    let breakUp = BreakUp()
    private let size: Int
    private let messages = Mutex<[Key: [[UInt8]]]>([:])

    private struct Key: Hashable { let source, target, tag: Int32 }

    init(size: Int) { self.size = size }

    /// What the handle of a world is: one rank's view.
    private final class View {
        let board: MessageBoard
        let rank: Int32

        init(_ board: MessageBoard, _ rank: Int32) {
            self.board = board
            self.rank = rank
        }
    }

    private final class Posted {
        let board: MessageBoard
        let key: Key
        /// nil = a message that was sent.
        let target: UnsafeMutableRawBufferPointer?
        var looks = 0

        init(_ board: MessageBoard, _ key: Key, _ target: UnsafeMutableRawBufferPointer?) {
            self.board = board
            self.key = key
            self.target = target
        }
    }

    /// Ranks, each on a thread of its own; gives what they return in order of rank.
    func ranks<Result: Sendable>(
        messageLimit: Int = 2, _ body: @escaping @Sendable (MPICommunicator) throws -> Result
    ) async throws -> [Result] {
        try await withThrowingTaskGroup(of: (Int, Result).self) { tasks in
            for rank in 0..<size {
                tasks.addTask {
                    try await withCheckedThrowingContinuation { continuation in
                        Thread.detachNewThread {
                            continuation.resume(
                                with: Swift.Result { (rank, try body(self.communicator(rank, messageLimit))) })
                        }
                    }
                }
            }
            var results: [(Int, Result)] = []
            for try await result in tasks { results.append(result) }
            return results.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    private func communicator(_ rank: Int, _ messageLimit: Int) -> MPICommunicator {
        let view = Unmanaged.passRetained(View(self, Int32(rank))).toOpaque()
        let table = martlet_mpi(
            world: view, byte: view, errors_return: view, init_thread: { _, _, _, _ in 0 }, finalize: { 0 },
            set_error_handler: { _, _ in 0 }, rank: { _, _ in 0 }, size: { _, _ in 0 },
            send: { bytes, count, _, target, tag, world, request in
                let view = Unmanaged<View>.fromOpaque(world).takeUnretainedValue()
                let key = Key(source: view.rank, target: target, tag: tag)
                let message = Array(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
                view.board.messages.withLock { $0[key, default: []].append(message) }
                request.pointee = Unmanaged.passRetained(Posted(view.board, key, nil)).toOpaque()
                return 0
            },
            receive: { bytes, count, _, source, tag, world, request in
                let view = Unmanaged<View>.fromOpaque(world).takeUnretainedValue()
                let key = Key(source: source, target: view.rank, tag: tag)
                let target = UnsafeMutableRawBufferPointer(start: bytes, count: Int(count))
                request.pointee = Unmanaged.passRetained(Posted(view.board, key, target)).toOpaque()
                return 0
            },
            test: { request, isDone, _ in
                guard let handle = request.pointee else {
                    isDone.pointee = 1
                    return 0
                }
                let posted = Unmanaged<Posted>.fromOpaque(handle).takeUnretainedValue()
                posted.looks += 1
                isDone.pointee = posted.looks > 3 && posted.board.fulfil(posted) ? 1 : 0
                if isDone.pointee == 1 {
                    Unmanaged<Posted>.fromOpaque(handle).release()
                    request.pointee = nil
                }
                return 0
            })
        return MPICommunicator(
            table, ranks: Array(0..<size), worldRank: rank, messageLimit: messageLimit, breakUp: breakUp)
    }

    /// A receive takes the oldest message of its kind; a send is done once the other side has taken it, as MPI has it
    /// of large ones.
    private func fulfil(_ posted: Posted) -> Bool {
        messages.withLock { messages in
            guard let target = posted.target else { return messages[posted.key, default: []].isEmpty }
            guard let message = messages[posted.key]?.first else { return false }
            precondition(message.count == target.count, "\(message.count) bytes for \(target.count)")
            target.copyBytes(from: message)
            messages[posted.key]?.removeFirst()
            return true
        }
    }
}
