internal import CMPI
import Synchronization

/// A rank of a group of processes. Everything is non-blocking messages between two ranks: a wait can end when the group
/// does, and sums run in order of rank (MPI's own all-reduce picks its order by size).
///
/// After a break-up MPI is not called again, so that messages under way touch no memory.
package final class MPICommunicator: Communicator {
    package let rank: Int
    package let size: Int
    private let mpi: martlet_mpi
    /// All but this one.
    private let others: [Int]
    /// The world's numbers of the group's ranks.
    private let ranks: [Int32]
    /// Of what all take part in, and of messages between two: a message may overtake the one kind by the other.
    private let sharedTag, messageTag: Int32
    private let group: BreakUp
    /// Messages to one rank that may be under way.
    private let messageLimit: Int
    /// Groups of this world so far.
    private let groupCount: GroupCount
    /// What the other ranks bring to a sum.
    private var scratch = UnsafeMutableBufferPointer<Float>(start: nil, count: 0)
    private var requests: [Request] = []
    private var outgoing: [Outgoing] = []

    private struct Request {
        var handle: martlet_mpi_handle?
        /// In the group, of the other side.
        let rank: Int
    }

    /// A message that MPI still reads.
    private struct Outgoing {
        var request: Request
        let bytes: UnsafeMutableRawBufferPointer
    }

    /// How long the others may take to come to an operation. What ranks owe each other is computed in a second or so
    /// (D4); this is for one that is alive and will never come.
    private static let patienceSeconds = 120.0
    /// The same of a barrier, where ranks wait until all have loaded their weights.
    private static let loadSeconds = 3600.0

    /// Groups are made in the same order on every rank, so that a rank's numbers are those of all.
    final class GroupCount: Sendable {
        private let count = Atomic<Int32>(0)

        func next() -> Int32 { count.add(1, ordering: .relaxed).oldValue }
    }

    /// `ranks`: the world's, in order of their place in the group, this process's among them.
    init(
        _ mpi: martlet_mpi, ranks: [Int], worldRank: Int, messageLimit: Int, breakUp: BreakUp,
        groupCount: GroupCount = GroupCount()
    ) {
        guard let rank = ranks.firstIndex(of: worldRank) else {
            preconditionFailure("rank \(worldRank) is not of \(ranks)")
        }
        self.mpi = mpi
        self.ranks = ranks.map(Int32.init)
        self.rank = rank
        size = ranks.count
        others = ranks.indices.filter { $0 != rank }
        let index = groupCount.next()
        sharedTag = 2 * index
        messageTag = 2 * index + 1
        group = breakUp
        self.messageLimit = messageLimit
        self.groupCount = groupCount
    }

    deinit {
        // What MPI may still read or write stays: the process ends soon.
        guard !group.isBroken, outgoing.isEmpty else { return }
        scratch.deallocate()
    }

    package func subgroup(_ ranks: [Int]) -> any Communicator {
        MPICommunicator(
            mpi, ranks: ranks.map { Int(self.ranks[$0]) }, worldRank: Int(self.ranks[rank]), messageLimit: messageLimit,
            breakUp: group, groupCount: groupCount)
    }

    package func breakUp(_ reason: String) { group.say(reason) }

    package func check() throws(CommunicatorError) { if let error = group.error { throw error } }

    package func barrier() throws(CommunicatorError) {
        for other in others {
            try receive(UnsafeMutableRawBufferPointer(start: nil, count: 0), from: other, tag: sharedTag)
            try send(UnsafeRawBufferPointer(start: nil, count: 0), to: other, tag: sharedTag)
        }
        try complete(within: Self.loadSeconds)
    }

    package func broadcast(_ x: UnsafeMutableRawBufferPointer, from root: Int) throws(CommunicatorError) {
        guard !x.isEmpty else { return }
        if rank == root {
            for other in others { try send(UnsafeRawBufferPointer(x), to: other, tag: sharedTag) }
        } else {
            try receive(x, from: root, tag: sharedTag)
        }
        try complete()
    }

    package func allGather(_ counts: [Int], in x: UnsafeMutableBufferPointer<Float>) throws(CommunicatorError) {
        precondition(counts.count == size && counts.reduce(0, +) == x.count, "pieces of \(counts) in \(x.count)")
        var start = 0
        try allGather(
            counts.map { count in
                defer { start += count }
                return start..<(start + count)
            }, in: x)
    }

    /// pieces[r]: what rank r brings.
    private func allGather(
        _ pieces: [Range<Int>], in x: UnsafeMutableBufferPointer<Float>
    ) throws(CommunicatorError) {
        for other in others { try exchange(x.piece(pieces[rank]), for: x.piece(pieces[other]), with: other) }
        try complete()
    }

    /// Each rank sums a slice for all of them, and gives it to all.
    package func allReduce(_ x: UnsafeMutableBufferPointer<Float>) throws(CommunicatorError) {
        guard size > 1, !x.isEmpty else { return }
        let lines = (x.count + 15) / 16
        let slices = (0..<size).map { rank in
            min(x.count, lines * rank / size * 16)..<min(x.count, lines * (rank + 1) / size * 16)
        }
        let mine = slices[rank]
        reserve(mine.count * size)
        for other in others {
            let place = other * mine.count..<(other + 1) * mine.count
            try exchange(x.piece(slices[other]), for: scratch.piece(place), with: other)
        }
        try complete()
        if let sum = x.baseAddress, let first = scratch.baseAddress {
            reduce(sum + mine.lowerBound, with: first, count: mine.count)
        }
        try allGather(slices, in: x)
    }

    /// own = part 0 + part 1 + …, where this rank's part is `own` and rank r's stands at `parts[r * count]`.
    private func reduce(_ own: UnsafeMutablePointer<Float>, with parts: UnsafeMutablePointer<Float>, count: Int) {
        (parts + rank * count).update(from: own, count: count)
        own.update(from: parts, count: count)
        for other in 1..<size {
            let part = parts + other * count
            for index in 0..<count { own[index] += part[index] }
        }
    }

    package func send(_ x: UnsafeRawBufferPointer, to target: Int) throws(CommunicatorError) {
        try settle(target)
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: x.count, alignment: 64)
        bytes.copyMemory(from: x)
        let request = try sending(UnsafeRawBufferPointer(bytes), to: target, tag: messageTag)
        outgoing.append(Outgoing(request: request, bytes: bytes))
    }

    package func receive(_ x: UnsafeMutableRawBufferPointer, from source: Int) throws(CommunicatorError) {
        try receive(x, from: source, tag: messageTag)
        try complete()
    }

    /// Forgets messages that have gone, and waits until there is room for one more to `target`.
    private func settle(_ target: Int) throws(CommunicatorError) {
        try wait(within: Self.patienceSeconds, for: [target]) { () throws(CommunicatorError) in
            var left: [Outgoing] = []
            for var message in outgoing {
                if try isDone(&message.request) { message.bytes.deallocate() } else { left.append(message) }
            }
            outgoing = left
            return left.count { $0.request.rank == target } < messageLimit
        }
    }

    // MARK: Messages

    private func reserve(_ count: Int) {
        guard scratch.count < count else { return }
        scratch.deallocate()
        scratch = .allocate(capacity: count)
        scratch.initialize(repeating: 0)
    }

    /// Begins to give another rank a piece for one of its own. What is empty is not sent.
    private func exchange(
        _ own: UnsafeMutableBufferPointer<Float>, for its: UnsafeMutableBufferPointer<Float>, with other: Int
    ) throws(CommunicatorError) {
        if !its.isEmpty { try receive(UnsafeMutableRawBufferPointer(its), from: other, tag: sharedTag) }
        if !own.isEmpty { try send(UnsafeRawBufferPointer(own), to: other, tag: sharedTag) }
    }

    private func send(_ x: UnsafeRawBufferPointer, to target: Int, tag: Int32) throws(CommunicatorError) {
        requests.append(try sending(x, to: target, tag: tag))
    }

    private func sending(
        _ x: UnsafeRawBufferPointer, to target: Int, tag: Int32
    ) throws(CommunicatorError) -> Request {
        if let error = group.error { throw error }
        var request = Request(rank: target)
        let code = mpi.send(
            x.baseAddress, try count(x.count), mpi.byte, ranks[target], tag, mpi.world, &request.handle)
        guard code == 0 else { throw failure(code, "MPI_Isend", target) }
        return request
    }

    private func receive(
        _ x: UnsafeMutableRawBufferPointer, from source: Int, tag: Int32
    ) throws(CommunicatorError) {
        if let error = group.error { throw error }
        var request = Request(rank: source)
        let code = mpi.receive(
            x.baseAddress, try count(x.count), mpi.byte, ranks[source], tag, mpi.world, &request.handle)
        guard code == 0 else { throw failure(code, "MPI_Irecv", source) }
        requests.append(request)
    }

    /// MPI counts in 32 bits. The rows of a step are what comes near that.
    private func count(_ bytes: Int) throws(CommunicatorError) -> Int32 {
        guard let count = Int32(exactly: bytes) else {
            group.say("a message of \(bytes) bytes is too long for MPI: lower --max-num-batched-tokens")
            throw group.error ?? CommunicatorError(reason: "a message of \(bytes) bytes")
        }
        return count
    }

    private func isDone(_ request: inout Request) throws(CommunicatorError) -> Bool {
        var isDone: Int32 = 0
        let code = mpi.test(&request.handle, &isDone, nil)
        guard code == 0 else { throw failure(code, "MPI_Test", request.rank) }
        return isDone != 0
    }

    /// Waits for all that was begun.
    private func complete(within seconds: Double = MPICommunicator.patienceSeconds) throws(CommunicatorError) {
        try wait(within: seconds, for: requests.map(\.rank)) { () throws(CommunicatorError) in
            for index in requests.indices.reversed() where try isDone(&requests[index]) {
                requests.swapAt(index, requests.count - 1)
                requests.removeLast()
            }
            return requests.isEmpty
        }
    }

    private func wait(
        within seconds: Double, for others: @autoclosure () -> [Int],
        until isThere: () throws(CommunicatorError) -> Bool
    ) throws(CommunicatorError) {
        var patience = Patience(seconds: seconds)
        while try !isThere() {
            if let error = group.error { throw error }
            guard !patience.isOver() else {
                let names = Set(others()).sorted().map { "\(ranks[$0])" }.joined(separator: ", ")
                group.say("rank \(ranks[rank]) has waited \(Int(seconds)) s for rank \(names)")
                continue
            }
        }
    }

    /// A rank has the group break up that it cannot go on with.
    private func failure(_ code: Int32, _ call: String, _ other: Int) -> CommunicatorError {
        group.say("\(call) with rank \(ranks[other]) failed with code \(code)")
        return group.error ?? CommunicatorError(reason: call)
    }
}

extension UnsafeMutableBufferPointer {
    fileprivate func piece(_ range: Range<Int>) -> UnsafeMutableBufferPointer {
        UnsafeMutableBufferPointer(rebasing: self[range])
    }
}
