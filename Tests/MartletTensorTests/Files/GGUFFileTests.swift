import Foundation
import MartletTensor
import MartletTestSupport
import Testing

@Suite struct GGUFFileTests {
    /// An honest file of two tensors and a few keys.
    static var honest: GGUFWriter {
        var writer = GGUFWriter()
        writer.set("general.architecture", .string("llama"))
        writer.set("list", .array([.string("a"), .string("b")]))
        writer.add("a.weight", dimensions: [32, 2], type: 2, bytes: [UInt8](repeating: 1, count: 36))
        writer.add("b.weight", dimensions: [3], bytes: [UInt8](repeating: 2, count: 12))
        return writer
    }

    /// Each changes the honest file in one place; and what the refusal must say.
    static let lies: [(name: String, reason: String, change: @Sendable (inout GGUFWriter) -> Void)] = [
        ("magic", "not a GGUF file", { $0.magic = Array("GGUG".utf8) }),
        ("magic of ggml", "not a GGUF file", { $0.magic = Array("lmgg".utf8) }),
        ("version 0", "big-endian", { $0.version = 0 }),
        ("version 1", "version 1;", { $0.version = 1 }),
        ("version 4", "version 4;", { $0.version = 4 }),
        ("big endian", "big-endian", { $0.version = 3 << 24 }),
        ("2^63 keys", "metadata keys is", { $0.statedKeys = 1 << 63 }),
        ("2^15 keys", "metadata keys is 32768", { $0.statedKeys = 1 << 15 }),
        ("one key too many", "at most 65535", { $0.statedKeys = 3 }),
        ("one key too few", "has 9 dimensions", { $0.statedKeys = 1 }),
        ("2^63 tensors", "number of tensors is", { $0.statedTensors = 1 << 63 }),
        ("2^60 tensors", "number of tensors is", { $0.statedTensors = 1 << 60 }),
        ("one tensor too many", "has 0 dimensions", { $0.statedTensors = 3 }),
        ("empty key", "empty metadata key", { $0.set("", .bool(true)) }),
        ("twice the same key", "list twice", { $0.set("list", .bool(true)) }),
        ("long key", "length of a metadata key", { $0.set(String(repeating: "k", count: 70000), .bool(true)) }),
        ("unknown type", "unknown type 13", { $0.set("k", .raw(type: 13, bytes: [0])) }),
        ("unknown type", "unknown type 4294967295", { $0.set("k", .raw(type: .max, bytes: [0])) }),
        ("bool of 2", "bool of value 2", { $0.set("k", .raw(type: 7, bytes: [2])) }),
        ("string of 2^40", "length of metadata k", { $0.set("k", .raw(type: 8, bytes: le(1 << 40))) }),
        ("string of 2^64-1", "length of metadata k", { $0.set("k", .raw(type: 8, bytes: le(.max))) }),
        ("string past the end", "length of metadata k", { $0.set("k", .raw(type: 8, bytes: le(5000))) }),
        ("string not UTF-8", "not UTF-8", { $0.set("k", .raw(type: 8, bytes: le(1) + [0xFF])) }),
        ("key not UTF-8", "not UTF-8", { $0.set("k\u{0}", .raw(type: 8, bytes: le(2) + [0xC3, 0x28])) }),
        ("nested arrays", "array of arrays", { $0.set("k", .array([.array([.uint8(1)])])) }),
        ("array of unknown", "unknown type 77", { $0.set("k", .raw(type: 9, bytes: [77, 0, 0, 0] + le(1))) }),
        ("array of 2^63", "length of metadata k", { $0.set("k", .raw(type: 9, bytes: [0, 0, 0, 0] + le(1 << 63))) }),
        (
            "array past the end", "length of metadata k",
            { $0.set("k", .raw(type: 9, bytes: [10, 0, 0, 0] + le(1000))) }
        ),
        (
            "array of 2^61 u64", "length of metadata k",
            { $0.set("k", .raw(type: 9, bytes: [10, 0, 0, 0] + le(1 << 61))) }
        ),
        ("u64 in an array past Int", "out of range", { $0.set("k", .array([.uint64(.max)])) }),
        ("alignment 0", "power of two", { $0.set("general.alignment", .uint32(0)) }),
        ("alignment 13", "power of two", { $0.set("general.alignment", .uint32(13)) }),
        ("alignment 2^31", "power of two", { $0.set("general.alignment", .uint32(1 << 31)) }),
        ("alignment -32", "power of two", { $0.set("general.alignment", .int32(-32)) }),
        ("alignment as text", "power of two", { $0.set("general.alignment", .string("32")) }),
        ("alignment of a list", "power of two", { $0.set("general.alignment", .array([.uint32(32)])) }),
        ("0 dimensions", "has 0 dimensions", { $0.tensors[1].dimensions = [] }),
        ("5 dimensions", "has 5 dimensions", { $0.tensors[1].dimensions = [3, 1, 1, 1, 1] }),
        ("dimension 0", "dimension of 0", { $0.tensors[1].dimensions = [0] }),
        ("dimension 0 inside", "dimension of 0", { $0.tensors[1].dimensions = [3, 0] }),
        ("dimension 2^62", "overflows", { $0.tensors[1].dimensions = [1 << 62] }),
        ("dimension 2^63", "dimension of 9223372036854775808", { $0.tensors[1].dimensions = [1 << 63] }),
        ("dimensions that multiply past 2^64", "overflows", { $0.tensors[1].dimensions = [1 << 32, 1 << 32] }),
        ("dimensions that multiply to 2^64", "overflows", { $0.tensors[1].dimensions = [1 << 31, 1 << 31, 4, 1] }),
        (
            "quantised size past 2^63", "overflows",
            {
                $0.tensors[0].dimensions = [1 << 58, 32]; $0.tensors[0].type = 8
            }
        ),
        ("larger than the file", "past the end", { $0.tensors[1].dimensions = [300] }),
        ("rows that are no blocks", "not whole Q4_0 blocks", { $0.tensors[0].dimensions = [31, 2] }),
        ("a vector of blocks", "not whole Q4_0 blocks", { $0.tensors[0].dimensions = [64] }),
        ("an unread type", "type IQ4_XS", { $0.tensors[0].type = 23 }),
        ("a removed type", "type Q4_2", { $0.tensors[0].type = 4 }),
        ("an unknown type", "type number 4000000000", { $0.tensors[0].type = 4_000_000_000 }),
        ("offset past the end", "past the end", { $0.tensors[1].offset = 1 << 20 }),
        ("offset 2^63", "offset 9223372036854775808", { $0.tensors[1].offset = 1 << 63 }),
        ("offset that wraps", "past the end", { $0.tensors[1].offset = UInt64(Int.max) / 32 * 32 }),
        ("offset not aligned", "multiple of the alignment", { $0.tensors[1].offset = 33 }),
        ("offset in another tensor", "overlaps", { $0.tensors[1].offset = 32 }),
        ("same offset", "overlaps", { $0.tensors[1].offset = 0 }),
        ("twice the same tensor", "is there twice", { $0.tensors[1].name = "a.weight" }),
    ]

    private static func le(_ value: UInt64) -> [UInt8] { SafetensorsWriter.littleEndian(value) }

    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func open(_ writer: GGUFWriter) throws -> GGUFFile {
        try GGUFFile(path: directory.write(writer.file, to: "model.gguf"))
    }

    @Test(arguments: lies.indices) func liesAreRefused(index: Int) throws {
        let (name, reason, change) = Self.lies[index]
        var writer = Self.honest
        change(&writer)
        let error = #expect(throws: WeightError.self, "\(name)") { try open(writer) }
        let text = try #require(error).description
        #expect(text.contains(reason), "\(name): \(text)")
        #expect(text.contains("model.gguf"))
    }

    @Test func everyTruncationIsRefused() throws {
        let bytes = Self.honest.file
        // The padding after the last tensor may be missing: some writers leave it out.
        for count in 0..<bytes.count - 20 {
            let path = try directory.write(Array(bytes[..<count]), to: "short.gguf")
            #expect(throws: WeightError.self, "\(count) bytes") { try GGUFFile(path: path) }
        }
        let path = try directory.write(Array(bytes.dropLast(20)), to: "short.gguf")
        #expect(try GGUFFile(path: path).tensors.count == 2)
    }

    @Test func everyTypeOfValueIsRead() throws {
        var writer = GGUFWriter()
        let values: [(GGUFWriter.Value, GGUFValue)] = [
            (.uint8(255), .integer(255)), (.int8(-128), .integer(-128)), (.uint16(65535), .integer(65535)),
            (.int16(-32768), .integer(-32768)), (.uint32(.max), .integer(4_294_967_295)),
            (.int32(.min), .integer(-2_147_483_648)), (.float(0.5), .number(0.5)), (.bool(true), .bool(true)),
            (.string("é漢"), .string("é漢")), (.uint64(7), .integer(7)), (.uint64(.max), .number(0x1p64)),
            (.int64(.min), .integer(.min)), (.double(1e300), .number(1e300)),
            (.array([.string("a"), .string("")]), .strings(["a", ""])), (.array([]), .integers([])),
            (.array([.int8(-1), .int8(1)]), .integers([-1, 1])), (.array([.uint64(3)]), .integers([3])),
            (.array([.float(1), .float(2)]), .numbers([1, 2])), (.array([.bool(false)]), .bools([false])),
        ]
        for (index, (value, _)) in values.enumerated() { writer.set("key.\(index)", value) }
        for version: UInt32 in [2, 3] {
            writer.version = version
            let file = try open(writer)
            #expect(file.version == version)
            for (index, (_, expected)) in values.enumerated() { #expect(file.metadata["key.\(index)"] == expected) }
        }
    }

    @Test func tensorsAreOutermostFirst() throws {
        let file = try open(Self.honest)
        #expect(file.info("a.weight") == TensorInfo(name: "a.weight", dtype: .q4_0, shape: [2, 32]))
        #expect(try file.withRows("a.weight", 1..<2) { $0.count } == 18)
        #expect(try file.withRows("b.weight", 0..<3) { [UInt8]($0) } == [UInt8](repeating: 2, count: 12))
        #expect(throws: WeightError.self) { try file.withRows("a.weight", 1..<3) { _ in } }
        #expect(throws: WeightError.self) { try file.withRows("c.weight", 0..<1) { _ in } }
        #expect(GGUFFile.architecture(ofFileAt: file.path) == "llama")
        file.discard("a.weight")
    }

    @Test func anAlignmentIsFollowed() throws {
        var writer = Self.honest
        writer.alignment = 256
        writer.set("general.alignment", .uint32(256))
        #expect(try open(writer).withRows("b.weight", 0..<3) { [UInt8]($0) } == [UInt8](repeating: 2, count: 12))
    }

    // MARK: Split files

    private func part(_ number: Int, of count: Int, tensor: String, total: Int) -> GGUFWriter {
        var writer = GGUFWriter()
        if number == 1 { writer.set("general.architecture", .string("llama")) }
        writer.set("split.no", .uint16(UInt16(number - 1)))
        writer.set("split.count", .uint16(UInt16(count)))
        writer.set("split.tensors.count", .int32(Int32(total)))
        writer.add(tensor, dimensions: [4], bytes: [UInt8](repeating: UInt8(number), count: 16))
        return writer
    }

    @Test func partsAreJoined() throws {
        let first = try directory.write(part(1, of: 2, tensor: "a", total: 2).file, to: "m-00001-of-00002.gguf")
        #expect(throws: WeightError.self, "the second part is not there") { try GGUFFile(path: first) }
        let second = try directory.write(part(2, of: 2, tensor: "b", total: 2).file, to: "m-00002-of-00002.gguf")
        let file = try GGUFFile(path: first)
        #expect(try file.withRows("b", 0..<1) { $0[0] } == 2)
        #expect(file.isSplit && file.header == nil, "no one header describes it")
        let error = #expect(throws: WeightError.self) { try GGUFFile(path: second) }
        #expect(error?.reason.contains("open m-00001-of-00002.gguf") == true)
        #expect(GGUFFile.isLaterPart("m-00002-of-00002.gguf"))
        #expect(!GGUFFile.isLaterPart("m-00001-of-00002.gguf") && !GGUFFile.isLaterPart("m.gguf"))
    }

    @Test func partsThatDisagreeAreRefused() throws {
        let first = try directory.write(part(1, of: 2, tensor: "a", total: 2).file, to: "m-00001-of-00002.gguf")
        for second in [
            part(1, of: 2, tensor: "b", total: 2), part(2, of: 3, tensor: "b", total: 2),
            part(2, of: 2, tensor: "a", total: 2), Self.honest,
        ] {
            try directory.write(second.file, to: "m-00002-of-00002.gguf")
            #expect(throws: WeightError.self) { try GGUFFile(path: first) }
        }
        try directory.write(part(1, of: 2, tensor: "a", total: 3).file, to: "m-00001-of-00002.gguf")
        try directory.write(part(2, of: 2, tensor: "b", total: 3).file, to: "m-00002-of-00002.gguf")
        #expect(throws: WeightError.self, "a tensor is missing") { try GGUFFile(path: first) }
        let misnamed = try directory.write(part(1, of: 2, tensor: "a", total: 2).file, to: "m.gguf")
        #expect(throws: WeightError.self) { try GGUFFile(path: misnamed) }
    }
}
