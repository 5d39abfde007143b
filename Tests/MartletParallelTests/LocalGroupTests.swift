import Foundation
import MartletTestSupport
import Synchronization
import Testing

@testable import MartletParallel

@Suite struct LocalGroupTests {
    /// In f32, (1e8 + 1) - 1e8 is 0 and (1e8 - 1e8) + 1 is 1: the order shows.
    @Test func sumsAreInOrderOfRank() async throws {
        for order in [[1e8, 1, -1e8], [1e8, -1e8, 1], [1, 1e8, -1e8]] as [[Float]] {
            let expected = (order[0] + order[1]) + order[2]
            for count in [1, 15, 16, 17, 47, 48, 1000, 4096, 10007] {
                let sums = try await ranks(LocalGroup(size: 3)) { group in
                    var x = [Float](repeating: order[group.rank], count: count)
                    try x.withUnsafeMutableBufferPointer { try group.allReduce($0) }
                    return x
                }
                for sum in sums { #expect(sum == [Float](repeating: expected, count: count), "\(order), \(count)") }
            }
        }
    }

    @Test(arguments: 1...5) func everyOperationAtEverySize(size: Int) async throws {
        let group = LocalGroup(size: size)
        let counts = (0..<size).map { $0 == 1 ? 0 : 3 + 5 * $0 }
        let whole = counts.enumerated().flatMap { rank, count in [Float](repeating: Float(rank + 1), count: count) }
        for round in 0..<3 {
            let results = try await ranks(group) { group in
                var sum = (0..<37).map { Float($0 * (group.rank + 1) + round) }
                try sum.withUnsafeMutableBufferPointer { try group.allReduce($0) }
                var gathered = whole.map { $0 == Float(group.rank + 1) ? $0 : -1 }
                try gathered.withUnsafeMutableBufferPointer { try group.allGather(counts, in: $0) }
                var told: [Float] = []
                for root in 0..<size {
                    var value = Float(100 * group.rank + round)
                    try withUnsafeMutableBytes(of: &value) { try group.broadcast($0, from: root) }
                    told.append(value)
                }
                try group.barrier()
                return [sum, gathered, told]
            }
            let ranks = Float(size * (size + 1) / 2)
            for result in results {
                #expect(result[0] == (0..<37).map { Float($0) * ranks + Float(round * size) })
                #expect(result[1] == whole)
                #expect(result[2] == (0..<size).map { Float(100 * $0 + round) })
            }
        }
    }

    @Test func messagesArriveInOrder() async throws {
        let received = try await ranks(LocalGroup(size: 2)) { group in
            var values: [Int] = []
            for index in 0..<100 {
                var value = index
                if group.rank == 0 {
                    try withUnsafeBytes(of: &value) { try group.send($0, to: 1) }
                } else {
                    try withUnsafeMutableBytes(of: &value) { try group.receive($0, from: 0) }
                    values.append(value)
                }
            }
            return values
        }
        #expect(received[1] == Array(0..<100))
    }

    /// However a rank waits, and whoever comes later, with the first reason.
    @Test func breakingUpLetsEverybodyGo() async throws {
        let group = LocalGroup(size: 3)
        let errors = try await ranks(group) { group in
            do throws(CommunicatorError) {
                switch group.rank {
                case 0: try group.barrier()
                case 1:
                    var byte: UInt8 = 0
                    let failure: CommunicatorError? = withUnsafeMutableBytes(of: &byte) { bytes in
                        do throws(CommunicatorError) { try group.receive(bytes, from: 2) } catch { return error }
                        return nil
                    }
                    if let failure { throw failure }
                default:
                    Thread.sleep(forTimeInterval: 0.05)
                    group.breakUp("rank 2: no memory")
                    group.breakUp("another")
                    try group.barrier()
                }
                return nil as CommunicatorError?
            } catch {
                return error
            }
        }
        #expect(errors == [CommunicatorError?](repeating: CommunicatorError(reason: "rank 2: no memory"), count: 3))
    }

    /// What was under way is of a group that is no more.
    @Test func nothingIsReceivedAfterABreakUp() throws {
        let group = LocalGroup(size: 2)
        var byte: UInt8 = 7
        try withUnsafeBytes(of: &byte) { try group.communicator(ofRank: 0).send($0, to: 1) }
        group.breakUp("enough")
        #expect(throws: CommunicatorError(reason: "enough")) {
            try withUnsafeMutableBytes(of: &byte) { try group.communicator(ofRank: 1).receive($0, from: 0) }
        }
        #expect(throws: CommunicatorError(reason: "enough")) {
            try withUnsafeBytes(of: &byte) { try group.communicator(ofRank: 0).send($0, to: 1) }
        }
    }

    /// No operation is half done: after a break-up in the midst of many, all ranks did the same number of them.
    @Test func everyOperationIsDoneByAllOrNobody() async throws {
        for _ in 0..<20 {
            let group = LocalGroup(size: 3)
            let counts = try await ranks(group) { group in
                var count = 0
                var x = [Float](repeating: 1, count: 64)
                do {
                    while true {
                        try x.withUnsafeMutableBufferPointer { try group.allReduce($0) }
                        count += 1
                        if group.rank == 1, count == 500 { group.breakUp("enough") }
                        if x[0] > 1e30 { x = [Float](repeating: 1, count: 64) }
                    }
                } catch {
                    return count
                }
            }
            #expect(Set(counts).count == 1, "\(counts)")
        }
    }

    @Test func ordersComeInTurnAndEnd() async throws {
        let queue = MessageQueue<Int>()
        let reader = Task.detached {
            var orders: [Int] = []
            while let order = queue.next() { orders.append(order) }
            return orders
        }
        for order in 0..<1000 { queue.put(order) }
        queue.close()
        queue.put(1000)
        #expect(await reader.value == Array(0..<1000))
    }

    @Test func processorsAreSharedOut() {
        #expect(ThreadAffinity.shares(of: [0, 1, 2, 3, 8], over: 2) == [[0, 1], [2, 3, 8]])
        #expect(ThreadAffinity.shares(of: [0, 1], over: 2) == [[0], [1]])
        #expect(ThreadAffinity.shares(of: [0], over: 2) == [[], []])
        #if os(Linux)
        #expect(!ThreadAffinity.processors().isEmpty)
        #endif
    }

    #if os(Linux)
    @Test func aThreadStaysWhereItIsPinned() async throws {
        let all = ThreadAffinity.processors()
        let last = try #require(all.last)
        let found = try await ranks(LocalGroup(size: 1)) { _ in
            ThreadAffinity.pin(to: [last])
            return ThreadAffinity.processors()
        }
        #expect(found == [[last]])
        #expect(ThreadAffinity.processors() == all)
    }
    #endif
}
