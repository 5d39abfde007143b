import Foundation
import MartletCore
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletModels

@Suite struct ModelFilesTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func open(_ name: String = "", _ format: LoadFormat = .auto) throws -> ModelFiles {
        try ModelFiles.open(
            name.isEmpty ? directory.path : directory.path + "/" + name, loadFormat: format, environment: [:])
    }

    /// Writes the tiny checkpoint: `config.json` and its weights in one file, names through `rename`.
    @discardableResult
    private func writeTiny(rename: (String) -> String = { $0 }) throws -> TinyModel {
        let model = try TinyModel()
        var writer = SafetensorsWriter()
        try writer.add(model.configuration.tensors, of: model.source, rename: rename)
        try directory.write(writer.file, to: "model.safetensors")
        try directory.write(TinyModel.config, to: "config.json")
        return model
    }

    private func expectSame(_ left: any WeightSource, _ right: any WeightSource, _ tensors: [TensorInfo]) throws {
        for info in tensors {
            let found = try left.withRows(info.name, 0..<info.rows) { [UInt8]($0) }
            let expected = try right.withRows(info.name, 0..<info.rows) { [UInt8]($0) }
            #expect(found == expected, "\(info.name)")
        }
    }

    @Test func aDirectoryIsOpened() throws {
        let model = try writeTiny { $0.replacing("model.language_model.", with: "language_model.model.") }
        try directory.write(#"{"eos_token_id":[308,309],"temperature":0.8}"#, to: "generation_config.json")
        try directory.write("{}", to: "tokenizer.json")
        try directory.write(#"{"chat_template":"from config"}"#, to: "tokenizer_config.json")
        try directory.write(#"{"patch_size":14}"#, to: "preprocessor_config.json")
        let files = try open()
        #expect(files.configuration.decoder == model.configuration.decoder)
        #expect(files.configuration.endTokens == [289, 296, 298, 308, 309])
        #expect(files.chatTemplate == "from config")
        #expect(files.generationConfig?["temperature"]?.number == 0.8)
        #expect(files.processorConfig?["patch_size"]?.integer == 14)
        #expect(files.totalBytes == model.configuration.tensors.reduce(0) { $0 + $1.byteCount })
        #expect(files.name == (directory.path as NSString).lastPathComponent && files.location == directory.path)
        guard case .json(let bytes, let file, let configuration) = files.tokenizer else {
            Issue.record("no tokenizer.json")
            return
        }
        #expect(bytes == Array("{}".utf8) && file.hasSuffix("/tokenizer.json") && configuration != nil)
        try expectSame(files.weights, model.source, model.configuration.tensors)
    }

    @Test func templatesAreLookedUpInOrder() throws {
        try directory.write(TinyModel.config, to: "config.json")
        #expect(try open("", .dummy).chatTemplate == nil)
        try directory.write(#"{"chat_template":"from processor"}"#, to: "chat_template.json")
        #expect(try open("", .dummy).chatTemplate == "from processor")
        try directory.write(
            #"{"chat_template":[{"name":"tools","template":"t"},{"name":"default","template":"d"}]}"#,
            to: "tokenizer_config.json")
        #expect(try open("", .dummy).chatTemplate == "d")
        try directory.write("from file\n", to: "chat_template.jinja")
        #expect(try open("", .dummy).chatTemplate == "from file\n")
    }

    @Test func dummyNeedsOnlyTheConfiguration() throws {
        try directory.write(TinyModel.config, to: "config.json")
        try directory.write(#"{"image_processor":{"merge_size":2}}"#, to: "processor_config.json")
        let files = try open("", .dummy)
        let model = try TinyModel()
        try expectSame(files.weights, model.source, model.configuration.tensors)
        #expect(files.processorConfig?["merge_size"]?.integer == 2)
        guard case .none = files.tokenizer else {
            Issue.record("a tokenizer out of nothing")
            return
        }
        let error = #expect(throws: ModelError.self) { try open() }
        #expect(error?.reason.contains("--load-format dummy") == true)
    }

    @Test func aHubNameIsOpenedFromTheCache() throws {
        try directory.write(TinyModel.config, to: "models--a--b/snapshots/x/config.json")
        let files = try ModelFiles.open("a/b", loadFormat: .dummy, environment: ["HF_HUB_CACHE": directory.path])
        #expect(files.name == "a/b" && files.location.hasSuffix("/snapshots/x"))
        let direct = try open("models--a--b/snapshots/x", .dummy)
        #expect(direct.name == "a/b")
        #expect(throws: ModelError.self) { try ModelFiles.open("a/b", environment: ["HF_HUB_CACHE": "/nowhere"]) }
        #expect(throws: ModelError.self) { try ModelFiles.open("/nowhere/at/all", environment: [:]) }
    }

    @Test(arguments: [
        ("config.json", "{", "not valid JSON"), ("generation_config.json", "[", "not valid JSON"),
        ("generation_config.json", "[]", "not a JSON object"), ("tokenizer_config.json", "{1}", "not valid JSON"),
        ("preprocessor_config.json", "nope", "not valid JSON"), ("chat_template.json", "{", "not valid JSON"),
        ("config.json", #"{"architectures":["X"]}"#, "X is not built"),
    ]) func aBrokenFileIsNamed(name: String, text: String, reason: String) throws {
        try directory.write(TinyModel.config, to: "config.json")
        try directory.write(text, to: name)
        let error = try #require(#expect(throws: ModelError.self) { try open("", .dummy) })
        #expect(error.description.contains(reason), "\(error)")
        #expect(error.file == directory.path + "/" + name)
    }

    @Test func whatADirectoryLacksIsSaid() throws {
        let empty = #expect(throws: ModelError.self) { try open() }
        #expect(empty?.reason.contains("neither config.json nor a .gguf") == true)
        try directory.write(TinyModel.config, to: "config.json")
        try directory.write("", to: "pytorch_model.bin")
        let pickled = #expect(throws: ModelError.self) { try open() }
        #expect(pickled?.reason.contains("pytorch_model.bin") == true)
        let file = #expect(throws: ModelError.self) { try open("config.json") }
        #expect(file?.reason.contains("not a .gguf file") == true)
    }

    @Test func aTensorOfTheWrongShapeIsNamed() throws {
        let model = try TinyModel()
        try directory.write(
            TinyModel.config.replacing("\"vocab_size\":320", with: "\"vocab_size\":321"), to: "config.json")
        var writer = SafetensorsWriter()
        try writer.add(model.configuration.tensors, of: model.source)
        try directory.write(writer.file, to: "model.safetensors")
        let error = #expect(throws: ModelError.self) { try open() }
        #expect(error?.field == "tensor model.language_model.embed_tokens.weight")
        #expect(error?.reason.contains("[320, 128]") == true && error?.reason.contains("[321, 128]") == true)
    }

    @Test func quantisedTensorsAreExplained() throws {
        let model = try TinyModel()
        var writer = SafetensorsWriter()
        try writer.add(model.configuration.tensors, of: model.source)
        writer.tensors[0].dtype = "I32"
        try directory.write(writer.file, to: "model.safetensors")
        try directory.write(TinyModel.config, to: "config.json")
        let error = #expect(throws: ModelError.self) { try open() }
        #expect(error?.reason.contains("I32") == true && error?.reason.contains("GGUF") == true)
    }
}
