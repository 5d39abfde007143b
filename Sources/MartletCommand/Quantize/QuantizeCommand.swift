import ArgumentParser
import Dispatch
import Foundation
import MartletCPU
import MartletModels
import MartletTensor

/// `martlet quantize`: a model's weights in fewer bits, and ready-packed.
struct QuantizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quantize", abstract: "Write a model as a directory that is mapped and served at once.",
        discussion: """
            OUT holds the weights as the kernels read them, and the files that describe the model: `martlet serve OUT`
            starts without packing or quantising anything. Weights that a GGUF file has quantised stay as they are.
            --quantization none packs only. --check DIR compares every tensor of such a directory with its SHA-256.

            EXAMPLES:
              martlet quantize ./AutoGLM-Phone-9B ./AutoGLM-Phone-9B-int4 --quantization int4
              martlet quantize AutoGLM-Phone-9B-Q4_K_M.gguf ./AutoGLM-Phone-9B-packed
              martlet quantize --check ./AutoGLM-Phone-9B-int4
            """)

    @Argument(help: "A directory, a .gguf file, or a hub name that a local cache has.") var input: String
    @Argument(help: "The directory to make.") var output: String?
    @Option(
        name: [.long, .customShort("q")],
        help: ArgumentHelp("What plain matrices become.", valueName: "int8|int4|none"))
    var quantization = "int8"
    @Option(help: "Most bytes of one file of weights (5GB, 4GiB); default: one file.") var maxShardSize: String?
    @Option(help: ArgumentHelp("Where weights come from.", valueName: "auto|safetensors|gguf|dummy"))
    var loadFormat = "auto"
    @Option(help: "Threads that compute.") var threads: Int?
    @Flag(help: "Check a directory that was made so.") var check = false

    func validate() throws {
        guard check || output != nil else { throw ValidationError("Where to? `martlet quantize IN OUT`.") }
        guard !check || output == nil else { throw ValidationError("--check takes one directory.") }
        guard WeightQuantization(rawValue: quantization) != nil else {
            throw ValidationError("--quantization is int8, int4 or none.")
        }
        guard LoadFormat(rawValue: loadFormat) != nil else {
            throw ValidationError("--load-format is auto, safetensors, gguf or dummy.")
        }
        if let maxShardSize, Self.bytes(maxShardSize) == nil {
            throw ValidationError("--max-shard-size is a size from 1MB on, such as 5GB or 4GiB.")
        }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is between 1 and 1024.") }
    }

    func run() throws {
        let files = try ModelFiles.open(
            input, loadFormat: LoadFormat(rawValue: loadFormat) ?? .auto,
            environment: ProcessInfo.processInfo.environment)
        if let output, !check { try pack(files, to: output) } else { try compare(files) }
    }

    private func pack(_ files: ModelFiles, to output: String) throws {
        let start = ContinuousClock.now
        let packer = try ModelPacker(
            files, quantization: WeightQuantization(rawValue: quantization) ?? .none,
            maxShardBytes: maxShardSize.flatMap(Self.bytes))
        let directory = try StagedDirectory(path: output)
        let signals = Self.removing(directory.temporaryPath)
        defer { for signal in signals { signal.cancel() } }
        var progress = LoadProgress(title: "Packing") { ConsoleLog.write($0 + "\n") }
        var done = 0
        try packer.write(to: directory, backend: CPUBackend(threads: threads, workspaceCount: 1)) { bytes in
            done += bytes
            progress.show(done, of: packer.byteCount)
        }
        progress.finish()
        try directory.commit()
        let seconds = StartLog.fixed((ContinuousClock.now - start).seconds, 1)
        let bits = StartLog.fixed(packer.bitsPerWeight, 2)
        print(
            "\(directory.path): \(LoadProgress.gibibytes(packer.byteCount)) GiB, \(bits) bits a weight,"
                + " \(packer.shards.count) file\(packer.shards.count == 1 ? "" : "s"), made in \(seconds) s.")
        print("Serve it: martlet serve \(directory.path)")
    }

    private func compare(_ files: ModelFiles) throws {
        guard let checkpoint = files.weights as? SafetensorsCheckpoint, checkpoint.isPacked else {
            throw PackError(path: files.location, reason: "is not ready-packed: it has no digests to check")
        }
        var progress = LoadProgress(title: "Checking") { ConsoleLog.write($0 + "\n") }
        var done = 0
        defer { progress.finish() }
        try checkpoint.checkDigests { bytes in
            done += bytes
            progress.show(done, of: files.totalBytes)
        }
        progress.finish()
        print("\(files.location): \(LoadProgress.gibibytes(done)) GiB, every tensor is what was written.")
    }

    /// An interrupted run leaves nothing behind.
    private static func removing(_ path: String) -> [any DispatchSourceSignal] {
        [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                try? FileManager.default.removeItem(atPath: path)
                _exit(128 + number)
            }
            source.resume()
            return source
        }
    }

    /// `5GB`, `4GiB`, `500m`; nil below a megabyte.
    static func bytes(_ text: String) -> Int? {
        var digits = text
        if digits.hasSuffix("iB") {
            digits = String(digits.dropLast(2)).uppercased()
        } else if digits.uppercased().hasSuffix("B") {
            digits = String(digits.dropLast()).lowercased()
        }
        return CountNotation.read(digits).flatMap { $0 >= 1_000_000 ? $0 : nil }
    }
}
