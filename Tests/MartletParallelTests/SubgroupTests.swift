import Foundation
import MartletTestSupport
import Testing

@testable import MartletParallel

/// Ranks of a group that are a group of their own.
@Suite struct SubgroupTests {
    /// Two pairs of four ranks sum among themselves, and the pairs pass messages on, at once.
    @Test func pairsWorkBesideOneAnother() async throws {
        let results = try await ranks(LocalGroup(size: 4)) { whole in
            let pair = whole.rank < 2 ? [0, 1] : [2, 3]
            let own = whole.subgroup(pair)
            var sums: [Float] = []
            for round in 0..<200 {
                var x = [Float](repeating: Float(whole.rank + round), count: 33)
                try x.withUnsafeMutableBufferPointer { try own.allReduce($0) }
                if whole.rank < 2 {
                    try x.withUnsafeBytes { try whole.send($0, to: whole.rank + 2) }
                } else {
                    var other = [Float](repeating: 0, count: 33)
                    try other.withUnsafeMutableBytes { try whole.receive($0, from: whole.rank - 2) }
                    x = zip(x, other).map { $0 - $1 }
                }
                sums.append(x[32])
            }
            return (own.rank, own.size, sums)
        }
        #expect(results.map(\.0) == [0, 1, 0, 1])
        #expect(results.map(\.1) == [2, 2, 2, 2])
        let odd: [Float] = (0..<200).map { Float(1 + 2 * $0) }
        let differences = [Float](repeating: 4, count: 200)
        #expect(results.map(\.2) == [odd, odd, differences, differences])
    }

    /// Ranks are numbered as they stand in the list, and messages of a group stay in it.
    @Test func aGroupHasItsOwnNumbersAndMessages() async throws {
        let results = try await ranks(LocalGroup(size: 2)) { whole in
            let turned = whole.subgroup([1, 0])
            var inner = UInt8(whole.rank), outer = UInt8(10 + whole.rank)
            try withUnsafeBytes(of: &outer) { try whole.send($0, to: 1 - whole.rank) }
            try withUnsafeBytes(of: &inner) { try turned.send($0, to: 1 - turned.rank) }
            try withUnsafeMutableBytes(of: &inner) { try turned.receive($0, from: 1 - turned.rank) }
            try withUnsafeMutableBytes(of: &outer) { try whole.receive($0, from: 1 - whole.rank) }
            return [UInt8(turned.rank), inner, outer]
        }
        #expect(results == [[1, 1, 11], [0, 0, 10]])
    }

    /// Whoever breaks up any of the groups, everybody is let go, and so is who comes later.
    @Test(arguments: [0, 1, 2]) func breakingUpReachesEveryGroup(rank: Int) async throws {
        let errors = try await ranks(LocalGroup(size: 3)) { whole in
            let pair = whole.rank < 2 ? whole.subgroup([0, 1]) : whole.subgroup([2])
            if whole.rank == rank {
                Thread.sleep(forTimeInterval: 0.02)
                pair.breakUp("enough")
            }
            do {
                if whole.rank == 2 { try whole.barrier() } else { try pair.barrier() }
                // The pair may have met before the end came.
                try whole.barrier()
                return nil as CommunicatorError?
            } catch {
                return error as? CommunicatorError
            }
        }
        #expect(errors == [CommunicatorError?](repeating: CommunicatorError(reason: "enough"), count: 3))
    }

    @Test func aGroupMadeAfterTheEndHasEnded() {
        let group = LocalGroup(size: 2)
        group.breakUp("enough")
        let sub = group.communicator(ofRank: 0).subgroup([0])
        #expect(throws: CommunicatorError(reason: "enough")) { try sub.barrier() }
    }
}
