import ArgumentParser
import Foundation
import MartletCore

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
        let settings = try model.settings()
        let bench = try VisionBench(settings.model, environment: ProcessInfo.processInfo.environment)
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
        if let embeddings {
            let bytes = values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }
            try Data(bytes).write(to: URL(fileURLWithPath: embeddings))
        }
        guard let json else { return }
        var writer = JSONWriter()
        writer.value(.array(speeds.map(\.json)))
        try Data((writer.text + "\n").utf8).write(to: URL(fileURLWithPath: json))
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
