import Foundation
import MartletCore
import MartletModels
import MartletServer
import Testing

@testable import MartletCommand

@Suite struct GenerationFileTests {
    private let own = JSONValue.object(
        JSONObject([
            ("temperature", .number(0.8)), ("top_k", .integer(2)), ("top_p", .number(0.6)), ("do_sample", .bool(true)),
            ("repetition_penalty", .number(1.1)), ("max_new_tokens", .integer(100)), ("min_p", .number(9)),
        ]))

    @Test func modelsOwn() throws {
        let (defaults, overridden) = try GenerationFile.defaults(choice: "auto", own: own, overrides: JSONObject())
        #expect(defaults.temperature == 0.8)
        #expect(defaults.topK == 2)
        #expect(defaults.topP == 0.6)
        #expect(defaults.repetitionPenalty == 1.1)
        #expect(defaults.maxTokens == 100)
        // Out of range: the standard stays, and nobody is told otherwise.
        #expect(defaults.minP == 0)
        #expect(overridden.keys == ["temperature", "top_k", "top_p", "repetition_penalty", "max_new_tokens"])
    }

    @Test func noneOfTheModels() throws {
        let overrides = JSONObject([("temperature", .number(0.1))])
        let (defaults, _) = try GenerationFile.defaults(choice: "vllm", own: own, overrides: overrides)
        #expect(defaults.temperature == 0.1)
        #expect(defaults.topK == 0)
    }

    @Test func fromADirectory() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        #expect(throws: ModelError.self) {
            try GenerationFile.defaults(choice: directory.path, own: nil, overrides: JSONObject())
        }
        let file = directory.appendingPathComponent("generation_config.json")
        try Data("{\"top_p\": 0.5}".utf8).write(to: file)
        let read = try GenerationFile.defaults(choice: directory.path, own: own, overrides: JSONObject())
        #expect(read.defaults.topP == 0.5)
        try Data("{".utf8).write(to: file)
        #expect(throws: ModelError.self) {
            try GenerationFile.defaults(choice: directory.path, own: nil, overrides: JSONObject())
        }
    }
}
