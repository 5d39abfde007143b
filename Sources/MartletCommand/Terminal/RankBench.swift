import MartletModels
import MartletParallel

/// What exchanging costs ranks that are threads of this process, each on processors of its own.
struct RankBench {
    let rankCount: Int
    /// Runs, of which the median counts.
    let repeats: Int

    /// One size of message.
    struct Speed: Equatable {
        let bytes: Int
        /// Of one all-reduce.
        let seconds: Double

        /// What every rank gets summed.
        var bytesPerSecond: Double { Double(bytes) / seconds }
    }

    /// Sums `bytes`, a multiple of 4, over all ranks. Throws `CommunicatorError` if the system refuses a thread.
    func allReduce(bytes: Int) throws -> Speed {
        let group = LocalGroup(size: rankCount)
        let processors = ThreadAffinity.shares(of: ThreadAffinity.processors(), over: rankCount)
        // Some megabytes a run, or a run of many: a single one would be the clock's.
        let count = max(4, min(10_000, (64 << 20) / max(bytes, 1)))
        let followers = (1..<rankCount).map { rank in
            FollowerThread(rank: rank, group: group, processors: processors[rank]) { _ in
                _ = try Self.times(group.communicator(ofRank: rank), bytes: bytes, count: count, repeats: repeats)
            }
        }
        defer { withExtendedLifetime(followers) {} }
        // The thread that asks is left where it is: it has other work afterwards.
        let times = try Self.times(group.communicator(ofRank: 0), bytes: bytes, count: count, repeats: repeats)
        return Speed(bytes: bytes, seconds: times.sorted()[times.count / 2])
    }

    /// Seconds of one exchange, for each run; the first run, which meets cold memory, is left out.
    private static func times(
        _ communicator: LocalCommunicator, bytes: Int, count: Int, repeats: Int
    ) throws -> [Double] {
        let x = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(1, bytes / 4))
        x.initialize(repeating: 0)
        defer { x.deallocate() }
        let message = UnsafeMutableBufferPointer(rebasing: x[0..<bytes / 4])
        var times: [Double] = []
        for _ in 0...repeats {
            let start = ContinuousClock.now
            for _ in 0..<count { try communicator.allReduce(message) }
            times.append((ContinuousClock.now - start).seconds / Double(count))
        }
        return Array(times.dropFirst())
    }
}
