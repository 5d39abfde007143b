import Foundation
import MartletCPU
import MartletCore
import MartletEngine
import MartletTensor
import MartletVision
import Testing

@testable import MartletModels

/// Logits of Hugging Face transformers on 20 random tiny models, within 2e-4 (fixtures: Fixtures/README.md).
@Suite struct ReferenceLogitsTests {
    struct Fixture: Sendable, CustomTestStringConvertible {
        let name: String
        let config: JSONValue
        let gguf: String?
        let images: [(height: Int, width: Int)]
        let offsets: [Int]
        let tokens: [TokenID]
        let rows: [Int]
        let logits: [Float]

        var testDescription: String { name }

        init(_ value: JSONValue) throws {
            func integers(_ key: String) -> [Int] { value[key]?.array?.compactMap(\.integer) ?? [] }
            name = try #require(value["name"]?.string)
            config = try #require(value["config"])
            gguf = value["gguf"]?.string
            images = value["images"]?.array?.map { ($0.array?[0].integer ?? 0, $0.array?[1].integer ?? 0) } ?? []
            offsets = integers("offsets")
            tokens = integers("tokens").map(TokenID.init)
            rows = integers("rows")
            let data = try #require(Data(base64Encoded: value["logits"]?.string ?? ""))
            logits = data.withUnsafeBytes { bytes in
                (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
            }
        }

        /// Its GGUF files, or weights by the hash rule.
        func model() throws -> TinyModel {
            guard let gguf else {
                let configuration = try ModelConfiguration(config: config, generation: nil, file: "config.json")
                return TinyModel(
                    configuration: configuration, source: try DummyCheckpoint(tensors: configuration.tensors))
            }
            let text = try GGUFFile(path: directory.appending(path: gguf).path)
            let projector = try GGUFFile(path: directory.appending(path: "mmproj-" + gguf).path)
            return TinyModel(
                configuration: try ModelConfiguration(gguf: text, projector: projector),
                source: try GGUFCheckpoint(text: text, projector: projector))
        }

        func prompt() throws -> Prompt {
            let processor = ImageProcessor(
                configuration: try ImageProcessorConfiguration(
                    json: JSONParser.parse(#"{"size":{"shortest_edge":12544,"longest_edge":9633792}}"#), file: "test"))
            return Prompt(
                tokens: tokens,
                images: try zip(images, offsets).map { size, offset in
                    PlacedImage(
                        image: try processor.prepare(TinyModel.picture(height: size.height, width: size.width)),
                        offset: offset)
                })
        }
    }

    static let directory = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/models")

    static let fixtures: [Fixture] = {
        do {
            let data = try Data(contentsOf: directory.appending(path: "logits.json"))
            return try JSONParser.parse(Array(data))["fixtures"]?.array?.map(Fixture.init) ?? []
        } catch {
            return []
        }
    }()

    @Test func allFixturesAreThere() {
        #expect(Self.fixtures.count == 20)
        #expect(Self.fixtures.filter { $0.gguf != nil }.count == 3)
    }

    /// Quantised files hold other values than the hash rule: their logits belong to the GGUF test alone.
    @Test(arguments: fixtures.filter { $0.gguf == nil || $0.name == "glm4v-01" })
    func hashedWeightsAgree(fixture: Fixture) throws {
        let configuration = try ModelConfiguration(config: fixture.config, generation: nil, file: "config.json")
        let model = TinyModel(configuration: configuration, source: try DummyCheckpoint(tensors: configuration.tensors))
        for chunk in [fixture.tokens.count, 16] {
            try expectLogits(of: fixture, model: model, chunk: chunk)
        }
    }

    @Test(arguments: fixtures.filter { $0.gguf != nil }) func ggufFilesAgree(fixture: Fixture) throws {
        try expectLogits(of: fixture, model: fixture.model(), chunk: 32)
    }

    private func expectLogits(of fixture: Fixture, model: TinyModel, chunk: Int) throws {
        let backend = try CPUBackend(threads: 2)
        let logits = try model.logits(of: fixture.prompt(), rows: fixture.rows, chunk: chunk, backend: backend)
        try #require(logits.count == fixture.logits.count)
        let worst = zip(logits, fixture.logits).map { abs($0 - $1) }.max() ?? .infinity
        #expect(worst <= 2e-4, "\(fixture.name), chunks of \(chunk): \(worst)")
    }
}
