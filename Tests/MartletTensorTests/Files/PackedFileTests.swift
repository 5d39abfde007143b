import Foundation
import MartletTensor
import MartletTestSupport
import Testing

/// Ready-packed files (MODEL.md 8.5): what is written is read; what lies is refused by name.
@Suite struct PackedFileTests {
    private static let matrix = TensorInfo(name: "lm_head.weight", dtype: .q8_0, shape: [20, 32])
    private static let norm = TensorInfo(name: "model.language_model.norm.weight", dtype: .f32, shape: [8])
    /// Two panels of 16 rows of 34 bytes.
    private static let panels = (0..<1088).map { UInt8(truncatingIfNeeded: $0 * 7) }

    private func write(to path: String, layout: String = "test.1") throws {
        let writer = try PackedFileWriter(
            path: path, layout: layout,
            items: [.init(info: Self.matrix, isPanels: true), .init(info: Self.norm, isPanels: false)])
        try Self.panels.withUnsafeBytes { try writer.write($0) }
        try [UInt8](0..<32).withUnsafeBytes { try writer.write($0) }
        try writer.finish()
    }

    private func checkpoint(_ directory: TemporaryDirectory) throws -> SafetensorsCheckpoint {
        try write(to: directory.path + "/model.safetensors")
        return try SafetensorsCheckpoint(directory: CheckpointDirectory(path: directory.path))
    }

    @Test func whatIsWrittenIsRead() throws {
        let directory = try TemporaryDirectory()
        let checkpoint = try checkpoint(directory)
        #expect(checkpoint.isPacked)
        #expect(checkpoint.tensors == [Self.matrix, Self.norm])
        let panels = try #require(try checkpoint.panels(Self.matrix.name))
        #expect(panels.layout == "test.1")
        #expect(Array(panels.bytes) == Self.panels)
        #expect(Int(bitPattern: panels.bytes.baseAddress) % PackedPanels.alignment == 0)
        #expect(try checkpoint.panels(Self.norm.name) == nil)
        #expect(try checkpoint.withRows(Self.norm.name, 0..<8) { Array($0) } == [UInt8](0..<32))
        var checked = 0
        try checkpoint.checkDigests { checked += $0 }
        #expect(checked == 1088 + 32)
        let error = #expect(throws: WeightError.self) { try checkpoint.withRows(Self.matrix.name, 0..<1) { _ in } }
        #expect(error?.tensor == Self.matrix.name)
    }

    @Test func aFlippedByteIsFoundByItsTensor() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/model.safetensors"
        try write(to: path)
        let honest = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
        for (back, name) in [(1, Self.norm.name), (40, Self.matrix.name), (1120, Self.matrix.name)] {
            var bytes = honest
            bytes[bytes.count - back] ^= 1
            let checkpoint = try SafetensorsCheckpoint(file: directory.write(bytes, to: "other.safetensors"))
            let error = #expect(throws: WeightError.self) { try checkpoint.checkDigests { _ in } }
            #expect(error?.tensor == name)
        }
    }

    @Test func anUnfinishedFileIsNone() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/model.safetensors"
        do {
            let writer = try PackedFileWriter(
                path: path, layout: "test.1", items: [.init(info: Self.matrix, isPanels: true)])
            try Self.panels.withUnsafeBytes { try writer.write($0) }
        }
        #expect(throws: WeightError.self) { try SafetensorsCheckpoint(file: path) }
        #expect(throws: WeightError.self) { try write(to: path) }
        #expect(throws: WeightError.self) {
            let writer = try PackedFileWriter(
                path: path + "2", layout: "test.1", items: [.init(info: Self.matrix, isPanels: true)])
            try [UInt8](repeating: 0, count: 1087).withUnsafeBytes { try writer.write($0) }
        }
    }

    /// The metadata of one tensor `a`, what the file says of it, and what the refusal must say.
    static let lies: [(metadata: String, entry: String, reason: String)] = [
        (#""martlet.packed":"2""#, "", "version 2"),
        (#""martlet.packed":"1""#, "", "does not say"),
        (#""martlet.packed":"1","martlet.layout":"","martlet.tensors":"{}""#, "", "does not say"),
        (#""martlet.packed":"1","martlet.layout":"x","martlet.tensors":3"#, "", "does not say"),
        (#""martlet.packed":"1","martlet.layout":"x","martlet.tensors":"{""#, "", "martlet.tensors is"),
        (#""martlet.packed":"1","martlet.layout":"x","martlet.tensors":"[]""#, "", "no object"),
        (#""martlet.packed":"1","martlet.layout":"x","martlet.tensors":"{}""#, "", "is not in martlet.tensors"),
        (tensor(#"{}"#), "", "no sha256"),
        (tensor(#"{"sha256":"00"}"#), "", "no sha256"),
        (tensor(#"{"sha256":"\#(String(repeating: "G", count: 64))"}"#), "", "no sha256"),
        (tensor(#"{"sha256":"\#(digest)"},"b":{"sha256":"\#(digest)"}"#), "", "and not in the file"),
        (described(#""dtype":"Q9_0","shape":[16,32]"#), "", "no dtype that is known"),
        (described(#""shape":[16,32]"#), "", "no dtype that is known"),
        (described(#""dtype":"Q8_0""#), "", "no shape"),
        (described(#""dtype":"Q8_0","shape":[512]"#), "", "no shape"),
        (described(#""dtype":"Q8_0","shape":[16,"32"]"#), "", "no shape"),
        (described(#""dtype":"Q8_0","shape":[16,-32]"#), "", "no shape"),
        (described(#""dtype":"Q8_0","shape":[0,32]"#), "", "no shape"),
        (described(#""dtype":"Q8_0","shape":[16,33]"#), "", "no shape"),
        (described(#""dtype":"Q8_0","shape":[9223372036854775807,32]"#), "", "no shape"),
        (described(#""dtype":"Q8_0","shape":[16,4611686018427387904,32]"#), "", "no shape"),
        (described(#""dtype":"Q8_0","shape":[1,1,1,1,1,1,1,1,16,32]"#), "", "no shape"),
        (described(#""dtype":"Q8_0","shape":[17,32]"#), "", "take 1088 of U8"),
        (described(#""dtype":"Q4_0","shape":[16,32]"#), "", "take 320 of U8"),
        (
            described(#""dtype":"Q8_0","shape":[16,32]"#), #"{"dtype":"I8","shape":[576],"data_offsets":[0,576]}"#,
            "bytes of I8"
        ),
    ]

    private static let digest = String(repeating: "0", count: 64)

    private static func tensor(_ text: String) -> String {
        let escaped = "{\"a\":\(text)}".replacing("\"", with: "\\\"")
        return #""martlet.packed":"1","martlet.layout":"x","martlet.tensors":"\#(escaped)""#
    }

    private static func described(_ text: String) -> String { tensor(#"{\#(text),"sha256":"\#(digest)"}"#) }

    private func file(_ metadata: String, _ entry: String, aligned: Bool = true) -> [UInt8] {
        let entry = entry.isEmpty ? #"{"dtype":"U8","shape":[576],"data_offsets":[0,576]}"# : entry
        var header = #"{"__metadata__":{\#(metadata)},"a":\#(entry)}"#
        while (header.utf8.count + 8) % 64 != (aligned ? 0 : 8) { header += " " }
        return SafetensorsWriter.file(header: header, data: [UInt8](repeating: 0, count: 576))
    }

    @Test(arguments: lies.indices) func lyingMetadataIsRefused(index: Int) throws {
        let (metadata, entry, reason) = Self.lies[index]
        let directory = try TemporaryDirectory()
        let path = try directory.write(file(metadata, entry), to: "model.safetensors")
        let error = #expect(throws: WeightError.self) { try SafetensorsCheckpoint(file: path) }
        #expect(error?.file == path)
        #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
    }

    @Test func panelsOffTheirAlignmentAreRefused() throws {
        let directory = try TemporaryDirectory()
        let metadata = Self.described(#""dtype":"Q8_0","shape":[16,32]"#)
        _ = try SafetensorsCheckpoint(file: directory.write(file(metadata, ""), to: "model.safetensors"))
        let path = try directory.write(file(metadata, "", aligned: false), to: "other.safetensors")
        let error = #expect(throws: WeightError.self) { try SafetensorsCheckpoint(file: path) }
        #expect(error?.reason.contains("no multiple of 64") == true)
    }

    @Test func panelsAreCountedWithoutOverflow() {
        #expect(PackedPanels.byteCount(dtype: .q8_0, shape: [17, 64]) == 32 * 68)
        #expect(PackedPanels.byteCount(dtype: .bf16, shape: [1, 3]) == 128)
        #expect(PackedPanels.byteCount(dtype: .q8_0, shape: [17, 60]) == nil)
        #expect(PackedPanels.byteCount(dtype: .f32, shape: [.max, .max]) == nil)
        #expect(PackedPanels.byteCount(dtype: .f32, shape: [.max - 64, 1]) == nil)
        #expect(PackedPanels.byteCount(dtype: .f32, shape: []) == nil)
    }
}
