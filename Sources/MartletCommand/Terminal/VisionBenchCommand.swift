import ArgumentParser
import Foundation
import MartletCPU
import MartletCore
import MartletModels

/// `martlet bench-vision`: what encoding a picture takes, without a decoder and an engine.
struct VisionBenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-vision", abstract: "Measure the vision tower and merger by themselves.",
        discussion: """
            Loads the tower and the merger alone, encodes a small picture to warm up and then made-up pictures of each
            size, resized as the model's processor does it: seconds, and which phase of the tower took them. Of several
            runs the median one is shown.

            EXAMPLES:
              martlet bench-vision ./AutoGLM-Phone-9B
              martlet bench-vision ./AutoGLM-Phone-9B -q int8 --size 360x800,1080x2400 --json vision.json
            """)

    @OptionGroup var model: ModelArguments
    @Option(help: "Pictures' sizes, separated by commas.") var size = "360x800"
    @Option(help: "Runs, of which the median counts.") var repeats = 3
    @Option(help: "Write the rows as JSON.") var json: String?
    @Option(help: "Write the last picture's embeddings, rows of f32, little endian.") var embeddings: String?
    @Flag(help: "Encode the last picture on the CPU too, in f32, and say how far apart the embeddings are.")
    var besideCpu = false

    private static let heading =
        "      picture  patches  tokens   seconds" + TowerSpeed.phaseNames.map { padded($0, 10) }.joined()

    func validate() throws {
        guard (1...101).contains(repeats) else { throw ValidationError("--repeats is between 1 and 101.") }
        _ = try sizes()
    }

    private func sizes() throws -> [PictureSize] {
        let words = size.split(separator: ",", omittingEmptySubsequences: false)
        let sizes = words.compactMap { PictureSize($0) }
        guard sizes.count == words.count else { throw ValidationError("--size takes sizes such as 360x800,1080x2400.") }
        return sizes
    }

    func run() throws {
        let options = try model.settings().model, environment = ProcessInfo.processInfo.environment
        switch options.device {
        case .cpu:
            try run(VisionBench(options, on: CPUHardware(options: options), environment: environment))
        case .cuda:
            let files = try ModelFiles.open(options.model, loadFormat: options.loadFormat, environment: environment)
            let machine = try CUDAHardware(options, files.configuration, environment: environment)
            try run(VisionBench(options, on: machine, environment: environment))
        }
    }

    private func run(_ bench: VisionBench<some Hardware>) throws {
        let images = try sizes().map { try bench.image($0) }
        _ = try bench.measure(bench.image(PictureSize(width: 112, height: 112)))
        print("\(bench.name), \(bench.threadCount) threads")
        print(Self.heading)
        var values: [Float] = []
        let speeds = try images.map { image in
            let runs = try (0..<repeats).map { _ in
                let run = try bench.measure(image)
                values = run.embeddings
                return run.speed
            }
            let speed = TowerSpeed.median(runs)
            print(Self.text(speed))
            return speed
        }
        if besideCpu, let image = images.last { try compare(values, with: image) }
        if let embeddings {
            let bytes = values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }
            try Data(bytes).write(to: URL(fileURLWithPath: embeddings))
        }
        guard let json else { return }
        var writer = JSONWriter()
        writer.value(.array(speeds.map(\.json)))
        try Data((writer.text + "\n").utf8).write(to: URL(fileURLWithPath: json))
    }

    /// Relative L2 distance of the embeddings from those of the CPU in f32.
    private func compare(_ values: [Float], with image: PreparedImage) throws {
        var options = try model.settings().model
        options.device = .cpu
        options.activations = .f32
        let cpu = try VisionBench(
            options, on: CPUHardware(options: options), environment: ProcessInfo.processInfo.environment)
        let exact = try cpu.measure(image).embeddings
        let apart = zip(values, exact).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
        let length = exact.reduce(0.0) { $0 + Double($1 * $1) }
        print(String(format: "relative L2 distance from f32 on the CPU: %.2e", (apart / length).squareRoot()))
    }

    private static func text(_ speed: TowerSpeed) -> String {
        padded("\(speed.width)x\(speed.height)", 13)
            + String(format: "%9d%8d%10.3f", speed.patches, speed.tokens, speed.seconds)
            + TowerSpeed.phaseNames.map { padded(String(format: "%.3f", speed.phases[$0] ?? 0), 10) }.joined()
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
