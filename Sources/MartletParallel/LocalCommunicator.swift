import Synchronization

/// A rank of a `LocalGroup`.
package final class LocalCommunicator: Communicator {
    package let rank: Int
    private let group: LocalGroup
    /// All ranks there are; `group`, or what it is part of.
    private let whole: LocalGroup

    package var size: Int { group.size }

    init(_ group: LocalGroup, rank: Int, of whole: LocalGroup? = nil) {
        precondition(rank >= 0 && rank < group.size, "rank \(rank) of \(group.size)")
        self.group = group
        self.rank = rank
        self.whole = whole ?? group
    }

    package func subgroup(_ ranks: [Int]) -> any Communicator {
        guard let place = ranks.firstIndex(of: rank) else { preconditionFailure("rank \(rank) is not in \(ranks)") }
        return LocalCommunicator(group.subgroup(ranks), rank: place, of: whole)
    }

    package func breakUp(_ reason: String) { whole.breakUp(reason) }

    package func check() throws(CommunicatorError) { if let error = group.error { throw error } }

    package func barrier() throws(CommunicatorError) { try together(nil, count: 0) {} }

    package func broadcast(_ x: UnsafeMutableRawBufferPointer, from root: Int) throws(CommunicatorError) {
        try together(x.baseAddress, count: x.count) {
            guard rank != root, let source = memory(of: root) else { return }
            x.baseAddress?.copyMemory(from: source, byteCount: x.count)
        }
    }

    package func allGather(
        _ counts: [Int], in x: UnsafeMutableBufferPointer<Float>
    ) throws(CommunicatorError) {
        precondition(counts.count == size && counts.reduce(0, +) == x.count, "pieces of \(counts) in \(x.count)")
        try together(x.baseAddress, count: x.count) {
            var start = 0
            for (other, count) in counts.enumerated() {
                if other != rank, let target = x.baseAddress, let source = floats(of: other) {
                    (target + start).update(from: source + start, count: count)
                }
                start += count
            }
        }
    }

    /// Each rank sums a slice for all of them.
    package func allReduce(_ x: UnsafeMutableBufferPointer<Float>) throws(CommunicatorError) {
        try together(x.baseAddress, count: x.count) {
            let all = (0..<size).compactMap { floats(of: $0) }
            guard all.count == size else { return }
            // Slices begin where cache lines do, if the memory does.
            let lines = (x.count + 15) / 16
            let slice = min(x.count, lines * rank / size * 16)..<min(x.count, lines * (rank + 1) / size * 16)
            // Blocks stay in the first cache until every rank has them.
            for start in stride(from: slice.lowerBound, to: slice.upperBound, by: 1024) {
                Self.reduce(start..<min(start + 1024, slice.upperBound), of: all)
            }
        }
    }

    /// all[r][range] = all[0][range] + all[1][range] + …, for every r.
    private static func reduce(_ range: Range<Int>, of all: [UnsafeMutablePointer<Float>]) {
        let sum = all[0]
        for other in all.dropFirst() {
            for index in range { sum[index] += other[index] }
        }
        for other in all.dropFirst() {
            (other + range.lowerBound).update(from: sum + range.lowerBound, count: range.count)
        }
    }

    package func send(_ x: UnsafeRawBufferPointer, to target: Int) throws(CommunicatorError) {
        guard group.mailbox(from: rank, to: target).put(Array(x)) else { throw group.failure }
    }

    package func receive(_ x: UnsafeMutableRawBufferPointer, from source: Int) throws(CommunicatorError) {
        // What was under way when the group broke up is not read any more.
        if let error = group.error { throw error }
        guard let message = group.mailbox(from: source, to: rank).next() else { throw group.failure }
        precondition(message.count == x.count, "\(message.count) bytes arrive, \(x.count) are expected")
        x.copyBytes(from: message)
    }

    // MARK: Together

    /// Runs `body` while every rank shows its memory.
    private func together(
        _ memory: UnsafeMutableRawPointer?, count: Int, _ body: () -> Void
    ) throws(CommunicatorError) {
        let place = group.places[rank]
        place.address.store(UInt(bitPattern: memory), ordering: .relaxed)
        place.count.store(count, ordering: .relaxed)
        guard group.entrance.meet() else { throw group.failure }
        for other in group.places {
            let its = other.count.load(ordering: .relaxed)
            precondition(its == count, "a rank brings \(its) elements, this one \(count)")
        }
        body()
        _ = group.exit.meet()
    }

    private func memory(of rank: Int) -> UnsafeMutableRawPointer? {
        UnsafeMutableRawPointer(bitPattern: group.places[rank].address.load(ordering: .relaxed))
    }

    private func floats(of rank: Int) -> UnsafeMutablePointer<Float>? {
        memory(of: rank)?.assumingMemoryBound(to: Float.self)
    }
}
