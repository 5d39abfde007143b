import MartletTestSupport
import Testing

@testable import MartletParallel

@Suite struct RankSeatsTests {
    private func seat(_ machine: String, _ processors: [Int], network: String? = nil) -> RankSeats.Seat {
        RankSeats.Seat(machine: machine, network: network ?? machine, processors: processors)
    }

    /// mpirun has bound nobody: two ranks share eight processors, the third has a machine of its own.
    @Test func whatManyMayUseIsShared() {
        let seats = RankSeats([seat("a", Array(0..<8)), seat("a", Array(0..<8)), seat("b", [0, 1, 2])])
        #expect((0..<3).map { seats.processors(of: $0) } == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2]])
        #expect((0..<3).map { seats.neighbours(of: $0) } == [[0, 1], [0, 1], [2]])
        #expect((0..<3).map { seats.threadCount(of: $0, asked: nil, quota: 8) } == [4, 4, 3])
        #expect((0..<3).map { seats.threadCount(of: $0, asked: 5, quota: 8) } == [2, 3, 5])
        #expect((0..<2).map { seats.threadCount(of: $0, asked: nil, quota: 4) } == [2, 2])
        #expect(!seats.isOneNetwork)
    }

    /// A launcher that gives every rank its own is left alone.
    @Test func whatALauncherGaveStays() {
        let seats = RankSeats([seat("a", [0, 1]), seat("a", [2, 3]), seat("a", [4]), seat("a", [4])])
        #expect((0..<4).map { seats.processors(of: $0) } == [[0, 1], [2, 3], [], []])
        #expect((0..<4).map { seats.threadCount(of: $0, asked: nil, quota: 2) } == [2, 2, 1, 1])
        #expect(seats.isOneNetwork)
        #expect(!RankSeats([seat("a", [0], network: "x"), seat("a", [0], network: "y")]).isOneNetwork)
    }

    @Test func everyRankKnowsOfAll() async throws {
        let found = try await ranks(LocalGroup(size: 3)) { group in
            (try RankSeats(of: group), try group.minimum(of: [7, 3, 5][group.rank]),
             try group.exchange([UInt8](repeating: UInt8(group.rank), count: group.rank)))
        }
        for (seats, least, words) in found {
            #expect(seats.seats == [RankSeats.Seat](repeating: .here(), count: 3))
            #expect(least == 3)
            #expect(words == [[], [1], [2, 2]])
        }
    }
}
