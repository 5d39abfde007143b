import MartletModels
import MartletParallel

/// What exchanging costs ranks: threads of this process, each on processors of its own, or the processes of a launcher.
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
        let count = Self.count(bytes)
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

    /// The same over processes: every rank of `communicator` calls it.
    func allReduce(bytes: Int, over communicator: any Communicator) throws -> Speed {
        let times = try Self.times(communicator, bytes: bytes, count: Self.count(bytes), repeats: repeats)
        return Speed(bytes: bytes, seconds: times.sorted()[times.count / 2])
    }

    /// Whether the sums over `communicator` are, bit for bit, those of additions in order of rank.
    func isExact(bytes: Int, over communicator: any Communicator) throws -> Bool {
        let count = bytes / 4
        var sum = Self.values(count, rank: 0)
        for rank in 1..<communicator.size {
            for (index, value) in Self.values(count, rank: rank).enumerated() { sum[index] += value }
        }
        var x = Self.values(count, rank: communicator.rank)
        try x.withUnsafeMutableBufferPointer { try communicator.allReduce($0) }
        return x.map(\.bitPattern) == sum.map(\.bitPattern)
    }

    /// Of many magnitudes, so that the order of a sum shows.
    private static func values(_ count: Int, rank: Int) -> [Float] {
        (0..<count).map { index in
            let bits = UInt32(truncatingIfNeeded: (index &* 31 &+ rank &+ 1) &* 0x9E37_79B1)
            return Float(Int32(bitPattern: bits)) * Float(sign: .plus, exponent: Int(bits % 24) - 40, significand: 1)
        }
    }

    /// Some megabytes a run, or a run of many: a single one would be the clock's.
    private static func count(_ bytes: Int) -> Int { max(4, min(10_000, (64 << 20) / max(bytes, 1))) }

    /// Seconds of one exchange, for each run; the first run, which meets cold memory, is left out.
    private static func times(
        _ communicator: any Communicator, bytes: Int, count: Int, repeats: Int
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
