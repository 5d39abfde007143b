import Foundation
import MartletTensor
import MartletTestSupport
import Testing

@Suite struct SafetensorsCheckpointTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func shard(_ tensors: String...) -> [UInt8] {
        var writer = SafetensorsWriter()
        for (index, name) in tensors.enumerated() {
            writer.add(name, dtype: "F16", shape: [2, 3], bytes: (0..<12).map { UInt8($0 + 16 * index) })
        }
        return writer.file
    }

    private func index(_ map: [(String, String)]) -> String {
        #"{"metadata":{"total_size":1},"weight_map":{"#
            + map.map { "\"\($0.0)\":\"\($0.1)\"" }.joined(separator: ",") + "}}"
    }

    private func open() throws -> SafetensorsCheckpoint {
        try SafetensorsCheckpoint(directory: CheckpointDirectory(path: directory.path))
    }

    private func refusal() -> String? {
        do {
            _ = try open()
            return nil
        } catch { return "\(error)" }
    }

    @Test func rowsAreThoseOfTheFile() throws {
        try directory.write(shard("a", "b"), to: "model.safetensors")
        let checkpoint = try open()
        #expect(checkpoint.info("b") == TensorInfo(name: "b", dtype: .f16, shape: [2, 3]))
        #expect(try checkpoint.withRows("b", 1..<2) { [UInt8]($0) } == [UInt8](22..<28))
        checkpoint.discard("b")
        #expect(try checkpoint.withRows("b", 0..<2) { [UInt8]($0) } == [UInt8](16..<28))
        #expect(checkpoint.info("c") == nil)
        #expect(throws: WeightError.self) { try checkpoint.withRows("c", 0..<1) { _ in } }
        #expect(throws: WeightError.self) { try checkpoint.withRows("b", 1..<3) { _ in } }
    }

    @Test func namesAreCanonical() throws {
        let names = [
            ("language_model.model.norm.weight", "model.language_model.norm.weight"),
            ("model.layers.0.mlp.up_proj.weight", "model.language_model.layers.0.mlp.up_proj.weight"),
            ("model.language_model.layers.1.mlp.up_proj.weight", "model.language_model.layers.1.mlp.up_proj.weight"),
            ("language_model.lm_head.weight", "lm_head.weight"),
            ("visual.merger.proj.weight", "model.visual.merger.proj.weight"),
            ("model.visual.downsample.weight", "model.visual.downsample.weight"),
        ]
        var writer = SafetensorsWriter()
        for (name, _) in names { writer.add(name, shape: [1], bytes: [0, 0, 0, 0]) }
        writer.add("model.layers.0.self_attn.rotary_emb.inv_freq", shape: [1], bytes: [0, 0, 0, 0])
        try directory.write(writer.file, to: "model.safetensors")
        let checkpoint = try open()
        #expect(Set(checkpoint.tensors.map(\.name)) == Set(names.map(\.1)))
    }

    @Test func oneTensorUnderTwoNamesIsRefused() throws {
        try directory.write(shard("model.norm.weight", "language_model.model.norm.weight"), to: "model.safetensors")
        #expect(refusal()?.contains("twice") == true)
    }

    @Test func otherTypesAreRefusedWhenUsed() throws {
        var writer = SafetensorsWriter()
        writer.add("codes", dtype: "I32", shape: [1], bytes: [0, 0, 0, 0])
        try directory.write(writer.file, to: "model.safetensors")
        let checkpoint = try open()
        #expect(checkpoint.info("codes") == nil)
        #expect(checkpoint.unreadableType("codes") == "I32")
        let error = #expect(throws: WeightError.self) { try checkpoint.withRows("codes", 0..<1) { _ in } }
        #expect(error?.reason.contains("I32") == true)
    }

    @Test func shardsAreJoined() throws {
        try directory.write(shard("a"), to: "model-00001-of-00002.safetensors")
        try directory.write(shard("b", "c"), to: "model-00002-of-00002.safetensors")
        try directory.write(
            index([
                ("a", "model-00001-of-00002.safetensors"), ("b", "model-00002-of-00002.safetensors"),
                ("c", "model-00002-of-00002.safetensors"),
            ]), to: SafetensorsCheckpoint.indexName)
        let checkpoint = try open()
        #expect(Set(checkpoint.tensors.map(\.name)) == ["a", "b", "c"])
        #expect(try checkpoint.withRows("c", 0..<1) { $0[0] } == 16)
    }

    @Test(arguments: [
        ([("a", "s1.safetensors"), ("b", "s1.safetensors")], "tensor b: is missing here"),
        ([("a", "s1.safetensors"), ("b", "s2.safetensors")], "not there: s2.safetensors;"),
        ([("a", "../s1.safetensors")], "not a plain file name"),
        ([("a", "/etc/s1.safetensors")], "not a plain file name"),
        ([("a", "sub/s1.safetensors")], "not a plain file name"),
        ([("a", "..\\\\s1.safetensors")], "not a plain file name"),
        ([("a", "s1.bin")], "not mapped to a .safetensors file"),
        ([("a", "..")], "not mapped to a .safetensors file"),
        ([("a", "s1.safetensors"), ("a", "s1.safetensors")], "duplicate key"),
        ([], "names 0 shards"),
        ([("x", "s3.safetensors")], "is here, where the index does not say so"),
    ]) func indexesThatLieAreRefused(map: [(String, String)], reason: String) throws {
        try directory.write(shard("a"), to: "s1.safetensors")
        try directory.write(shard("x", "y"), to: "s3.safetensors")
        try directory.write(index(map), to: SafetensorsCheckpoint.indexName)
        let text = try #require(refusal())
        #expect(text.contains(reason), "\(text)")
    }

    @Test(arguments: ["", "{}", "[]", #"{"weight_map":[]}"#, #"{"weight_map":{"a":1}}"#, #"{"weight_map":{"a":null}}"#])
    func indexesThatAreNoneAreRefused(text: String) throws {
        try directory.write(text, to: SafetensorsCheckpoint.indexName)
        #expect(refusal()?.contains(SafetensorsCheckpoint.indexName) == true)
    }

    @Test func linksThatLeadOutAreRefused() throws {
        let other = try TemporaryDirectory()
        let outside = try other.write(shard("a"), to: "s.safetensors")
        try FileManager.default.createSymbolicLink(
            atPath: directory.path + "/model.safetensors", withDestinationPath: outside)
        #expect(refusal()?.contains("leads out") == true)
    }

    @Test func linksIntoTheBlobsOfAHubCacheAreFollowed() throws {
        let cache = directory.path + "/models--a--b"
        try directory.write(shard("a"), to: "models--a--b/blobs/0123")
        try FileManager.default.createDirectory(
            atPath: cache + "/snapshots/abc", withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: cache + "/snapshots/abc/model.safetensors", withDestinationPath: "../../blobs/0123")
        let snapshot = try CheckpointDirectory(path: cache + "/snapshots/abc")
        #expect(try SafetensorsCheckpoint(directory: snapshot).info("a") != nil)
    }

    @Test func whatTheDirectoryLacksIsSaid() throws {
        #expect(refusal()?.contains("holds no .safetensors") == true)
        try directory.write(shard("a"), to: "s1.safetensors")
        #expect(refusal() == nil)
        try directory.write(shard("b"), to: "s2.safetensors")
        #expect(refusal()?.contains("2 .safetensors files and no") == true)
        #expect(throws: WeightError.self) { try CheckpointDirectory(path: directory.path + "/none") }
    }

    @Test func aFileThatShrinksIsAnError() throws {
        let path = try directory.write(shard("a"), to: "model.safetensors")
        let checkpoint = try open()
        #expect(truncate(path, 20) == 0)
        #expect(throws: WeightError.self) { try checkpoint.withRows("a", 0..<1) { _ in } }
    }
}
