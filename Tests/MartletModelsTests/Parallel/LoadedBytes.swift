import Synchronization

/// What each rank has read of a model's files.
final class LoadedBytes: Sendable {
    private let counts = Mutex<[Int: Int]>([:])

    func add(_ bytes: Int, rank: Int) { counts.withLock { $0[rank, default: 0] += bytes } }

    subscript(rank: Int) -> Int { counts.withLock { $0[rank] ?? 0 } }
}
