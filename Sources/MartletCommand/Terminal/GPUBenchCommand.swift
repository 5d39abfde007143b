import ArgumentParser
import Foundation
import MartletCUDA
import MartletCore
import MartletTensor

/// `martlet bench-gpu`: memory and products of a GPU by themselves.
struct GPUBenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-gpu", abstract: "Measure a GPU's memory and matrix products without a model.",
        discussion: """
            Copies memory within the GPU, then multiplies made-up matrices of the 9B model's shapes with a few rows of
            activations, as in decoding, and with many, as in prefill; several matrices in turn, so that none stays in a
            cache. The share is of the bytes a second that the copy reads and writes: the limit of decoding.

            EXAMPLES:
              martlet bench-gpu
              martlet bench-gpu --weights q8_0 --rows 1,64 --json gpu.json
              martlet bench-gpu --weights q8_0,q4_0 --rows 4096 --eight-bits int8
            """)

    @Option(help: "Types of weights, separated by commas.") var weights = "bf16,q8_0,q4_0"
    @Option(help: "Rows of activations, separated by commas.") var rows = "1,8,64,4096"
    @Option(help: "Type of activations: f32, f16 or bf16.") var operands = "bf16"
    @Option(help: "What many rows and quantised weights are multiplied in: int8 or fp8; default: as few.")
    var eightBits: String?
    @Option(help: "Products in a row, of which the mean counts.") var runs = 20
    @Option(help: "Write the figures as JSON.") var json: String?

    /// Rows and columns of q, k, v; of the attention's output, of gate and up, and of down (MODEL.md 1.1).
    private static let shapes = [(4608, 4096), (4096, 4096), (27392, 4096), (4096, 13696)]

    func validate() throws {
        guard (1...10_000).contains(runs) else { throw ValidationError("--runs is between 1 and 10000.") }
        _ = try batches()
        _ = try BenchList.types(weights)
        _ = try operandType()
        _ = try format()
    }

    private func batches() throws -> [Int] {
        try BenchList.counts(rows, in: 1...16384, option: "--rows", example: "1,8,64")
    }

    private func operandType() throws -> DType {
        guard let type = DType(rawValue: operands.uppercased()), !type.isQuantized else {
            throw ValidationError("--operands is f32, f16 or bf16.")
        }
        return type
    }

    private func format() throws -> EightBits? {
        try eightBits.map {
            guard let format = EightBits(rawValue: $0) else { throw ValidationError("--eight-bits is int8 or fp8.") }
            return format
        }
    }

    func run() throws {
        let environment = ProcessInfo.processInfo.environment
        let device = try CUDADevice(0, of: CUDAHardware.library(environment))
        let about = device.description
        let format = try format()
        if let format, format.leastArchitecture > about.architecture {
            throw UsageError("--eight-bits \(format.rawValue): \(about.name) has no such products.")
        }
        let backend = try CUDABackend(
            device, operandType: operandType(), cache: KernelCache(environment: environment), eightBits: format)
        print(String(
            format: "%@, compute capability %d.%d, %.1f GiB", about.name, about.major, about.minor,
            Double(about.memory) / Double(1 << 30)))
        let copy = try backend.copySpeed(byteCount: 1 << 30, runs: runs)
        print(String(format: "copy within memory: %.0f GB/s read and written", copy / 1e9))
        print(" weights  rows          matrix        us      GB/s   of copy    TFLOP/s")
        var speeds: [ProductSpeed] = []
        for dtype in try BenchList.types(weights) {
            for (rows, columns) in Self.shapes {
                for speed in try measure(dtype, rows: rows, columns: columns, on: backend) {
                    print(speed.text(copy: copy))
                    speeds.append(speed)
                }
            }
        }
        guard let json else { return }
        var writer = JSONWriter()
        writer.value(
            .object(
                JSONObject([
                    ("device", .string(about.name)), ("copy_bytes_per_second", .number(copy)),
                    ("products", .array(speeds.map(\.json))),
                ])))
        try Data((writer.text + "\n").utf8).write(to: URL(fileURLWithPath: json))
    }

    private func measure(
        _ dtype: DType, rows: Int, columns: Int, on backend: CUDABackend
    ) throws -> [ProductSpeed] {
        let source = MadeUpWeights(dtype, rows: rows, columns: columns)
        let bytes = rows * TensorInfo(name: "", dtype: dtype, shape: [rows, columns]).rowBytes
        // More than caches hold.
        let matrices = try (0..<max(2, (512 << 20) / bytes)).map { _ in
            try backend.loadMatrix([source.slice], from: source, dtype: nil)
        }
        return try batches().map { batch in
            let x = try backend.makeActivation(rows: batch, width: columns, role: .operand)
            let y = try backend.makeActivation(rows: batch, width: rows)
            backend.write((0..<batch * columns).map { Float($0 &* 7919 % 1000) / 500 - 1 }, to: x)
            var next = 0
            let seconds = try backend.seconds(runs: runs) {
                backend.linear(x, matrices[next % matrices.count], bias: nil, into: y)
                next += 1
            }
            return ProductSpeed(
                weights: dtype, rows: rows, columns: columns, batch: batch, seconds: seconds, byteCount: bytes)
        }
    }

    /// One product of `batch` rows with a matrix [rows, columns].
    private struct ProductSpeed {
        let weights: DType
        let rows, columns, batch: Int
        let seconds: Double
        /// Of the weights as stored.
        let byteCount: Int

        private var operationsPerSecond: Double { 2 * Double(rows) * Double(columns) * Double(batch) / seconds }

        func text(copy: Double) -> String {
            let words = [(weights.rawValue, 8), ("\(batch)", 6), ("\(rows)x\(columns)", 16)]
            let speed = Double(byteCount) / seconds
            let figures = String(
                format: "%10.1f%10.0f%9.0f%%%11.1f", seconds * 1e6, speed / 1e9, 100 * speed / copy,
                operationsPerSecond / 1e12)
            return words.map { String(repeating: " ", count: max(0, $1 - $0.count)) + $0 }.joined() + figures
        }

        var json: JSONValue {
            .object(
                JSONObject([
                    ("weights", .string(weights.rawValue)), ("rows", .integer(Int64(rows))),
                    ("columns", .integer(Int64(columns))), ("batch", .integer(Int64(batch))),
                    ("seconds", .number(seconds)), ("bytes", .integer(Int64(byteCount))),
                    ("operations_per_second", .number(operationsPerSecond)),
                ]))
        }
    }
}
