import ArgumentParser
import Foundation
import MartletCPU
import MartletCore
import MartletTensor

/// `martlet bench-kernels`: memory and products by themselves.
struct KernelBenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-kernels", abstract: "Measure memory and matrix products without a model.",
        discussion: """
            Reads memory, then multiplies made-up matrices of the 9B model's shapes with 1, 16 and 512 rows of
            activations; several matrices in turn, so that none stays in a cache. The share is of the speed at which
            all threads read.

            EXAMPLES:
              martlet bench-kernels
              martlet bench-kernels --isa avx2 --threads 1 --weights q4_0 --json kernels.json
            """)

    @Option(help: "Threads that compute.") var threads: Int?
    @Option(help: "Instruction set of the kernels.") var isa: String?
    @Option(help: "Types of weights, separated by commas.") var weights = "q4_0,q8_0,bf16"
    @Option(help: "Rows of activations, separated by commas.") var rows = "1,16,512"
    @Option(help: "Matrices to multiply with, rows x columns, instead of those.") var shapes: String?
    @Option(help: "Runs, of which the median counts.") var repeats = 3
    @Option(help: "Seconds that a run takes at least.") var seconds = 0.2
    @Option(help: "Write the figures as JSON.") var json: String?

    /// Rows and columns of the attention's output, of gate and up, and of down (MODEL.md 1.1).
    private static let usualShapes = "4096x4096,27392x4096,4096x13696"

    func validate() throws {
        guard threads.map({ (1...1024).contains($0) }) ?? true else {
            throw ValidationError("--threads is between 1 and 1024.")
        }
        guard (1...101).contains(repeats) else { throw ValidationError("--repeats is between 1 and 101.") }
        guard (0...60).contains(seconds) else { throw ValidationError("--seconds is between 0 and 60.") }
        _ = try batches()
        _ = try BenchList.types(weights)
        _ = try matrices()
    }

    private func matrices() throws -> [(rows: Int, columns: Int)] {
        let matrices = (shapes ?? Self.usualShapes).split(separator: ",").map { shape -> (rows: Int, columns: Int) in
            let sides = shape.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
            return sides.count == 2 ? (sides[0], sides[1]) : (0, 0)
        }
        // Whole blocks of every type of weights.
        guard !matrices.isEmpty, matrices.allSatisfy({ Self.isReasonable($0.rows) && Self.isReasonable($0.columns) })
        else { throw ValidationError("--shapes takes multiples of 32 up to 65536 such as 4608x1536,1536x4096.") }
        return matrices
    }

    private static func isReasonable(_ side: Int) -> Bool { (32...65536).contains(side) && side % 32 == 0 }

    private func batches() throws -> [Int] {
        try BenchList.counts(rows, in: 1...4096, option: "--rows", example: "1,16,512")
    }

    func run() throws {
        let backends = try [ActivationPrecision.int8, .bf16, .f32].map {
            try CPUBackend(threads: threads, isa: isa, activations: $0)
        }
        let count = backends[0].pool.threadCount
        print("\(backends[0].kernels.name), \(count) threads")
        var reads = try readSpeeds(upTo: count)
        print(" weights  activations  rows          matrix      GB/s   of read      GOP/s")
        var products: [ProductSpeed] = []
        for dtype in try BenchList.types(weights) {
            // Each precision once: a backend's own, where this type meets it.
            for backend in backends where backend.precision(for: dtype, columns: 2) == backend.activations {
                let bench = KernelBench(backend: backend, repeats: repeats, seconds: seconds)
                for (rows, columns) in try matrices() {
                    let speeds = try bench.product(dtype, rows: rows, columns: columns, batches: batches())
                    for speed in speeds { print(Self.text(speed, read: reads.last?.1 ?? 0)) }
                    products += speeds
                }
            }
        }
        // A limit is the best that was seen: another look after all that time.
        for (index, speed) in try readSpeeds(upTo: count).enumerated() where speed.1 > reads[index].1 {
            reads[index] = speed
        }
        try write(backends[0], reads, products)
    }

    /// Threads, and bytes a second that they read: one thread and all.
    private func readSpeeds(upTo count: Int) throws -> [(Int, Double)] {
        try Set([1, count]).sorted().map { number in
            let backend = try CPUBackend(threads: number, isa: isa)
            let speed = try KernelBench(backend: backend, repeats: 3 * repeats, seconds: seconds).readSpeed()
            print(String(format: "read, %d of the threads: %.1f GB/s", number, speed / 1e9))
            return (number, speed)
        }
    }

    private static func text(_ speed: ProductSpeed, read: Double) -> String {
        let words = [
            (speed.weights.rawValue, 8), (speed.activations.rawValue, 13), ("\(speed.batch)", 6),
            ("\(speed.rows)x\(speed.columns)", 16),
        ]
        let figures = String(
            format: "  %8.1f  %7.0f%%  %9.1f", speed.bytesPerSecond / 1e9, 100 * speed.bytesPerSecond / read,
            speed.operationsPerSecond / 1e9)
        return words.map { String(repeating: " ", count: $1 - $0.count) + $0 }.joined() + figures
    }

    private func write(
        _ backend: CPUBackend, _ reads: [(Int, Double)], _ products: [ProductSpeed]
    ) throws {
        guard let json else { return }
        var writer = JSONWriter()
        writer.value(
            .object(
                JSONObject([
                    ("isa", .string(backend.kernels.name)),
                    ("threads", .integer(Int64(backend.pool.threadCount))),
                    (
                        "read_bytes_per_second",
                        .object(JSONObject(reads.map { ("\($0)", .number($1)) }))
                    ),
                    ("products", .array(products.map(\.json))),
                ])))
        try Data((writer.text + "\n").utf8).write(to: URL(fileURLWithPath: json))
    }
}
