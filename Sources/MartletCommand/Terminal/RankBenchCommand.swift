import ArgumentParser
import Foundation
import MartletCore
import MartletParallel

/// `martlet bench-ranks`: what tensor parallel ranks wait for one another.
struct RankBenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-ranks", abstract: "Measure how ranks sum what they computed.",
        discussion: """
            Every layer of a model over several ranks sums [rows, hidden] floats over them twice: 16 KiB a row of the 9B
            model. The time is of one such all-reduce, the speed what each rank gets summed in a second. The ranks are
            threads of this process; under mpirun they are its processes, and the sums are compared bit for bit.

            EXAMPLES:
              martlet bench-ranks
              martlet bench-ranks --ranks 2,4 --sizes 16384,8388608 --json ranks.json
              mpirun -np 2 martlet bench-ranks
            """)

    @Option(help: "Numbers of ranks, separated by commas.") var ranks = "2"
    @Option(help: "Bytes of a message, separated by commas.")
    var sizes = "4096,16384,65536,262144,1048576,4194304,16777216"
    @Option(help: "Runs, of which the median counts.") var repeats = 5
    @Option(help: "Write the figures as JSON.") var json: String?

    func validate() throws {
        guard (1...101).contains(repeats) else { throw ValidationError("--repeats is between 1 and 101.") }
        _ = try rankCounts()
        _ = try messages()
    }

    private func rankCounts() throws -> [Int] {
        try BenchList.counts(ranks, in: 2...64, option: "--ranks", example: "2,4")
    }

    private func messages() throws -> [Int] {
        try BenchList.counts(sizes, in: 4...1 << 30, multiplesOf: 4, option: "--sizes", example: "4096,16384")
    }

    func run() throws {
        let environment = ProcessInfo.processInfo.environment
        if MPIWorld.launchedCount(environment: environment) > 1 {
            return try measure(over: MPIWorld(environment: environment))
        }
        var table = Table()
        for count in try rankCounts() {
            let bench = RankBench(rankCount: count, repeats: repeats)
            for bytes in try messages() { table.add(try bench.allReduce(bytes: bytes), rankCount: count) }
        }
        try table.write(to: json)
    }

    /// The ranks are the launcher's. Every size is summed once before it is timed, and the bits compared.
    private func measure(over world: MPIWorld) throws {
        let communicator = world.communicator()
        let bench = RankBench(rankCount: world.size, repeats: repeats)
        var table = Table(isShown: world.rank == 0)
        ThreadAffinity.pin(to: try RankSeats(of: communicator).processors(of: world.rank))
        for bytes in try messages() {
            guard try bench.isExact(bytes: bytes, over: communicator) else {
                throw CommunicatorError(reason: "the sum of \(bytes) bytes is not that of additions in order of rank")
            }
            table.add(try bench.allReduce(bytes: bytes, over: communicator), rankCount: world.size)
        }
        if world.rank == 0 { try table.write(to: json) }
        world.leave()
    }

    /// Printed as it grows.
    private struct Table {
        private let processors = ThreadAffinity.processors().count
        private let isShown: Bool
        private var rows: [JSONValue] = []

        init(isShown: Bool = true) {
            self.isShown = isShown
            guard isShown else { return }
            print("\(processors) processors")
            print("ranks      message   all-reduce      GB/s")
        }

        mutating func add(_ speed: RankBench.Speed, rankCount: Int) {
            guard isShown else { return }
            let microseconds = String(format: "%10.1f us", speed.seconds * 1e6)
            let rate = String(format: "%10.2f", speed.bytesPerSecond / 1e9)
            print(String(format: "%5d %8.0f KiB", rankCount, Double(speed.bytes) / 1024) + microseconds + rate)
            rows.append(
                .object(
                    JSONObject([
                        ("ranks", .integer(Int64(rankCount))), ("bytes", .integer(Int64(speed.bytes))),
                        ("seconds", .number(speed.seconds)),
                    ])))
        }

        func write(to path: String?) throws {
            guard let path else { return }
            var writer = JSONWriter()
            writer.value(
                .object(JSONObject([("processors", .integer(Int64(processors))), ("all_reduce", .array(rows))])))
            try Data((writer.text + "\n").utf8).write(to: URL(fileURLWithPath: path))
        }
    }
}
