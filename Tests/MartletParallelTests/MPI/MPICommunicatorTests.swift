import CMPI
import Foundation
import MartletTestSupport
import Testing

@testable import MartletParallel

@Suite struct MPICommunicatorTests {
    /// Many magnitudes, so that the order of a sum shows in its bits.
    private static func values(_ count: Int, rank: Int, round: Int) -> [Float] {
        (0..<count).map { index in
            let bits = UInt32(truncatingIfNeeded: (index * 31 + rank * 7 + round + 1) &* 0x9E37_79B1)
            return Float(Int32(bitPattern: bits)) * Float(sign: .plus, exponent: Int(bits % 24) - 40, significand: 1)
        }
    }

    /// The same bits as ranks that are threads (D6), at sizes around cache lines and slices.
    @Test(arguments: 1...4) func sumsHaveTheBitsOfThreads(size: Int) async throws {
        let counts = [1, 15, 16, 17, 47, 64, 65, 1000, 4096]
        @Sendable func sums(_ communicator: any Communicator) throws -> [[UInt32]] {
            try counts.enumerated().map { round, count in
                var x = Self.values(count, rank: communicator.rank, round: round)
                try x.withUnsafeMutableBufferPointer { try communicator.allReduce($0) }
                return x.map(\.bitPattern)
            }
        }
        let expected = try await ranks(LocalGroup(size: size)) { try sums($0) }
        let found = try await MessageBoard(size: size).ranks { try sums($0) }
        #expect(found == expected)
        if size == 3 {
            let turned = (0..<3).reversed().map { Self.values(4096, rank: $0, round: 8) }
            let other = (0..<4096).map { ((turned[0][$0] + turned[1][$0]) + turned[2][$0]).bitPattern }
            #expect(found[0][8] != other, "the order of a sum doesn't show in these values")
        }
    }

    @Test(arguments: 1...4) func everyOperationAtEverySize(size: Int) async throws {
        let counts = (0..<size).map { $0 == 1 ? 0 : 3 + 5 * $0 }
        let whole = counts.enumerated().flatMap { rank, count in [Float](repeating: Float(rank + 1), count: count) }
        let results = try await MessageBoard(size: size).ranks { group in
            var gathered = whole.map { $0 == Float(group.rank + 1) ? $0 : -1 }
            try gathered.withUnsafeMutableBufferPointer { try group.allGather(counts, in: $0) }
            var told: [Float] = []
            for root in 0..<size {
                var value = Float(100 * group.rank)
                try withUnsafeMutableBytes(of: &value) { try group.broadcast($0, from: root) }
                told.append(value)
            }
            try group.barrier()
            return [gathered, told]
        }
        for result in results { #expect(result == [whole, (0..<size).map { Float(100 * $0) }]) }
    }

    /// More messages than may be under way, and what all take part in among them.
    @Test func messagesArriveInOrderAndApart() async throws {
        let received = try await MessageBoard(size: 2).ranks { group in
            var values: [Int] = []
            for index in 0..<100 {
                var value = index
                var x = [Float(group.rank)]
                if group.rank == 0 {
                    try withUnsafeBytes(of: &value) { try group.send($0, to: 1) }
                    try x.withUnsafeMutableBufferPointer { try group.allReduce($0) }
                } else {
                    try x.withUnsafeMutableBufferPointer { try group.allReduce($0) }
                    try withUnsafeMutableBytes(of: &value) { try group.receive($0, from: 0) }
                    values.append(value)
                }
                #expect(x == [1])
            }
            return values
        }
        #expect(received[1] == Array(0..<100))
    }

    /// Pairs sum among themselves, numbered as they stand in the list, beside messages of the whole.
    @Test func partsOfAGroupAreGroups() async throws {
        let results = try await MessageBoard(size: 4).ranks { whole in
            let own = whole.subgroup(whole.rank < 2 ? [1, 0] : [2, 3])
            var x = [Float](repeating: Float(whole.rank), count: 33)
            try x.withUnsafeMutableBufferPointer { try own.allReduce($0) }
            try whole.barrier()
            return [Float(own.rank), x[32]]
        }
        #expect(results == [[1, 1], [0, 1], [0, 5], [1, 5]])
    }

    /// However a rank waits, and whoever comes later, with the first reason.
    @Test func breakingUpLetsEverybodyGo() async throws {
        let errors = try await MessageBoard(size: 3).ranks { group in
            do {
                var byte: UInt8 = 0
                switch group.rank {
                case 0: try group.barrier()
                case 1: try withUnsafeMutableBytes(of: &byte) { try group.receive($0, from: 2) }
                default:
                    Thread.sleep(forTimeInterval: 0.05)
                    group.breakUp("rank 2: no memory")
                    group.breakUp("another")
                    try group.barrier()
                }
                return nil as CommunicatorError?
            } catch {
                return error as? CommunicatorError
            }
        }
        #expect(errors == [CommunicatorError?](repeating: CommunicatorError(reason: "rank 2: no memory"), count: 3))
    }

    /// Nobody reads: the limit of messages under way makes a sender wait, and a break-up lets it go.
    @Test func aSenderWaitsForRoom() async throws {
        let board = MessageBoard(size: 2)
        let counts = try await board.ranks { group in
            var count = 0
            guard group.rank == 0 else {
                Thread.sleep(forTimeInterval: 0.2)
                group.breakUp("enough")
                return count
            }
            do {
                while true {
                    try withUnsafeBytes(of: &count) { try group.send($0, to: 1) }
                    count += 1
                }
            } catch {
                return count
            }
        }
        #expect(counts == [2, 0])
    }

    /// MPI counts bytes in 32 bits: what is longer ends the group in words, and is not looked at.
    @Test func aMessageThatIsTooLongIsRefused() async throws {
        let errors = try await MessageBoard(size: 2).ranks { group in
            var byte: UInt8 = 0
            do {
                try withUnsafeMutableBytes(of: &byte) { bytes in
                    let count = group.rank == 0 ? 1 << 31 : 1
                    let long = UnsafeMutableRawBufferPointer(start: bytes.baseAddress, count: count)
                    try group.broadcast(long, from: 0)
                }
                return nil as CommunicatorError?
            } catch {
                return error as? CommunicatorError
            }
        }
        let reason = "a message of 2147483648 bytes is too long for MPI: lower --max-num-batched-tokens"
        #expect(errors == [CommunicatorError?](repeating: CommunicatorError(reason: reason), count: 2))
    }

    @Test func whoListensHearsOfABreakUpOnce() {
        let breakUp = BreakUp()
        let heard = MessageQueue<String>()
        breakUp.listen { heard.put("early: \($0)") }
        breakUp.say("enough")
        breakUp.say("more")
        breakUp.listen { heard.put("late: \($0)") }
        heard.close()
        #expect([heard.next(), heard.next(), heard.next()] == ["early: enough", "late: enough", nil])
    }

    @Test func aLibraryThatIsMissingOrAnotherIsNamed() {
        for (library, words) in [
            ("/nonexistent/libmpi.so", "apt-get install openmpi-bin"), ("libm.so.6", "not Open MPI"),
        ] {
            #expect {
                _ = try MPIWorld(environment: ["MARTLET_MPI_LIBRARY": library])
            } throws: { "\($0)".contains(words) }
        }
    }

    @Test(arguments: [
        ([:], 1), (["OMPI_COMM_WORLD_SIZE": "4"], 4), (["OMPI_COMM_WORLD_SIZE": "1"], 1),
        (["SLURM_NTASKS": "4"], 1), (["SLURM_NTASKS": "4", "PMIX_RANK": "0"], 4),
        (["PMI_RANK": "1", "PMI_SIZE": "2"], 2),
    ] as [([String: String], Int)])
    func aLauncherIsSeen(environment: [String: String], count: Int) {
        #expect(MPIWorld.launchedCount(environment: environment) == count)
    }
}
