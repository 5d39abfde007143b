import Testing

@testable import MartletCommand

@Suite struct RankBenchTests {
    @Test(arguments: [(2, 4), (2, 65536), (3, 4096)]) func everySizeTakesItsTime(ranks: Int, bytes: Int) throws {
        let speed = try RankBench(rankCount: ranks, repeats: 1).allReduce(bytes: bytes)
        #expect(speed.bytes == bytes)
        #expect(speed.seconds > 0)
        #expect(speed.bytesPerSecond == Double(bytes) / speed.seconds)
    }
}
