import ArgumentParser
import Foundation
import MartletCore
import MartletModels
import MartletTestSupport
import MartletVision
import Testing

@testable import MartletCommand

/// The tower by itself, on the tiny checkpoint.
@Suite struct VisionBenchTests {
    private static let tiny = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../EndToEnd/tiny-glm4v").standardizedFileURL.path

    private func settings(_ more: String...) throws -> ServeSettings {
        let line = [Self.tiny, "--load-format", "dummy", "--max-model-len", "512", "--kv-cache-memory-bytes", "8M"]
        return try FlagReader(line + more).settings(environment: [:])
    }

    @Test func readsSizes() {
        #expect(PictureSize("360x800") == PictureSize(width: 360, height: 800))
        for text in ["360", "x", "360x", "0x8", "8x-8", "1x2x3", "20000x8", " 8x8"] {
            #expect(PictureSize(text) == nil, "\(text)")
        }
    }

    /// MODEL.md 7.2, and another picture for each seed.
    @Test func drawsTheRule() {
        let size = PictureSize(width: 30, height: 20)
        let picture = size.picture()
        #expect(Array(picture.rgb.prefix(6)) == [0, 29, 58, 7, 36, 65])
        let (x, y) = (29, 19)
        #expect(picture.rgb[(y * 30 + x) * 3 + 2] == UInt8((7 * x + 13 * y + 58 + x * y % 11) % 256))
        #expect(size.picture(seed: 1).rgb.first == 1)
    }

    @Test func measuresEveryPhase() throws {
        let bench = try VisionBench(settings().model, on: CPUHardware(options: settings().model), environment: [:])
        // 100 x 150 becomes 112 x 140: a grid of 8 x 10 patches.
        let (speed, embeddings) = try bench.measure(try bench.image(PictureSize(width: 100, height: 150)))
        #expect((speed.width, speed.height) == (112, 140))
        #expect((speed.patches, speed.tokens) == (80, 20))
        #expect(Set(speed.phases.keys) == Set(TowerSpeed.phaseNames))
        #expect(abs(speed.phases.values.reduce(0, +) - speed.seconds) < 1e-9, "\(speed)")
        #expect(embeddings.count == 20 * 128)
        #expect(embeddings.allSatisfy(\.isFinite) && embeddings.contains { $0 != 0 })
        #expect(speed.json["phases"]?["merge"] == .number(speed.phases["merge"] ?? -1))
    }

    @Test func phasesFollowTheUnits() throws {
        let bench = try VisionBench(settings().model, on: CPUHardware(options: settings().model), environment: [:])
        let small = try bench.measure(try bench.image(PictureSize(width: 112, height: 112))).speed
        let large = try bench.measure(try bench.image(PictureSize(width: 560, height: 560))).speed
        #expect(large.patches > VisionConfiguration.stripRows, "strips are several")
        #expect(small.patches == 64 && large.patches == 1600)
        #expect(large.phases.values.allSatisfy { $0 > 0 } && large.phases.count == TowerSpeed.phaseNames.count)
        let units = 0..<bench.tower.configuration.unitCount(patches: 1600)
        let phases = units.map { bench.tower.phase(ofUnit: $0, patches: 1600) }
        let counts = Dictionary(grouping: phases) { $0.rawValue }.mapValues(\.count)
        // Two strips: each once at the ends, and each twice in every block.
        let blocks = (phases.count - 4) / 4
        #expect(counts == ["embed": 2, "project": 2 * blocks, "attend": 2 * blocks, "merge": 2])
        #expect(phases.first?.rawValue == "embed" && phases.last?.rawValue == "merge")
    }

    @Test func theCommandWritesWhatItFound() throws {
        let directory = try TemporaryDirectory()
        let json = directory.path + "/rows.json", embeddings = directory.path + "/embeddings.f32"
        let line = [
            "bench-vision", Self.tiny, "--load-format", "dummy", "--size", "28x28,100x150", "--repeats", "2", "--json",
            json, "--embeddings", embeddings,
        ]
        let command = try #require(try MartletCommand.parseAsRoot(line) as? VisionBenchCommand)
        try command.run()
        // 28 x 28 is enlarged to 84 x 84, of which two frames hold the least number of pixels.
        let rows = try JSONParser.parse(Array(Data(contentsOf: URL(fileURLWithPath: json))))
        #expect(rows.array?.map { $0["tokens"]?.integer } == [9, 20])
        #expect(try Data(contentsOf: URL(fileURLWithPath: embeddings)).count == 20 * 128 * 4)
    }

    @Test func theMedianRunCounts() {
        let runs = [3.0, 1, 2, 4].map { seconds in
            var speed = TowerSpeed(width: 28, height: 28, patches: 4, tokens: 1)
            speed.seconds = seconds
            return speed
        }
        #expect(TowerSpeed.median(Array(runs.prefix(3))).seconds == 2)
        #expect(TowerSpeed.median(runs).seconds == 2)
        #expect(TowerSpeed.median([runs[0]]).seconds == 3)
    }

    @Test func aTextModelHasNoTower() throws {
        let directory = try TemporaryDirectory()
        let config = """
            {"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "num_hidden_layers": 1,
             "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 320}
            """
        try Data(config.utf8).write(to: URL(fileURLWithPath: directory.path).appendingPathComponent("config.json"))
        let settings = try FlagReader([directory.path, "--load-format", "dummy"]).settings(environment: [:])
        let machine = CPUHardware(options: settings.model)
        #expect(throws: UsageError.self) { try VisionBench(settings.model, on: machine, environment: [:]) }
    }

    @Test func promptsBeginWithPictures() async throws {
        let line = ["bench", Self.tiny, "--images", "2", "--image-size", "56x112"]
        let command = try #require(try MartletCommand.parseAsRoot(line) as? BenchCommand)
        try await LocalModel.run(try settings(), isQuiet: true) { local in
            let size = PictureSize(width: 56, height: 112)
            let prompt = try command.prompt(5, pictures: size, seed: 0, local)
            #expect(prompt.tokens.count == 2 * 8 + 5)
            #expect(prompt.images.map(\.offset) == [0, 8])
            let other = try command.prompt(5, pictures: size, seed: 1, local)
            let hashes = (prompt.images + other.images).map(\.image.contentHash)
            #expect(Set(hashes).count == 4, "nothing is encoded once for two")
        }
    }
}
