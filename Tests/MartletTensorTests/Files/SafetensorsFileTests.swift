import Foundation
import MartletTensor
import MartletTestSupport
import Testing

@Suite struct SafetensorsFileTests {
    /// Header, bytes of data, and what the refusal must say. Every line lies in one place only.
    static let lies: [(header: String, dataBytes: Int, reason: String)] = [
        ("", 0, "header is not valid JSON"),
        ("x", 0, "header is not valid JSON"),
        ("[]", 0, "header is not a JSON object"),
        ("\"a\"", 0, "header is not a JSON object"),
        (#"{"a":1}"#, 0, "has no dtype"),
        (#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#, 4, "has no dtype"),
        (#"{"a":{"dtype":3,"shape":[1],"data_offsets":[0,4]}}"#, 4, "has no dtype"),
        (#"{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}"#, 4, "unknown dtype F31"),
        (#"{"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}}"#, 4, "unknown dtype f32"),
        (#"{"a":{"dtype":"F32","data_offsets":[0,4]}}"#, 4, "has no shape"),
        (#"{"a":{"dtype":"F32","shape":4,"data_offsets":[0,4]}}"#, 4, "has no shape"),
        (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "bad dimension"),
        (#"{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}"#, 4, "bad dimension"),
        (#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, 4, "bad dimension"),
        (#"{"a":{"dtype":"F32","shape":[1e99],"data_offsets":[0,4]}}"#, 4, "bad dimension"),
        (#"{"a":{"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,4]}}"#, 4, "overflows"),
        (#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#, 0, "overflows"),
        (#"{"a":{"dtype":"F32","shape":[3037000500,3037000500,0],"data_offsets":[0,0]}}"#, 0, "overflows"),
        (#"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}"#, 4, "at most 8 dimensions"),
        (#"{"a":{"dtype":"F32","shape":[1]}}"#, 4, "data_offsets"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, 4, "data_offsets"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#, 4, "data_offsets"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "data_offsets"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 4, "data_offsets"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":["0","4"]}}"#, 4, "data_offsets"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}}"#, 4, "data_offsets"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775807]}}"#, 4, "past the end"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4, "past the end"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "needs 8"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}"#, 8, "needs 4"),
        (#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,4]}}"#, 4, "needs 0"),
        (#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}"#, 1, "needs 2"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "leaves a hole"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 8, "no tensor covers"),
        ("{}", 4, "no tensor covers"),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
                + #""b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
            12, "leaves a hole"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#
                + #""b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
            12, "overlaps"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
                + #""a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            8, "duplicate key"
        ),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#, 4, "header is not valid JSON"),
        (#"{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}"#, 4, "header is not valid JSON"),
    ]

    private func refusal(_ bytes: [UInt8]) throws -> String? {
        let directory = try TemporaryDirectory()
        let path = try directory.write(bytes, to: "model.safetensors")
        do {
            _ = try SafetensorsFile(path: path)
            return nil
        } catch {
            #expect(error.file == path)
            return error.description
        }
    }

    @Test(arguments: lies.indices) func lyingHeadersAreRefused(index: Int) throws {
        let (header, dataBytes, reason) = Self.lies[index]
        let file = SafetensorsWriter.file(header: header, data: [UInt8](repeating: 0, count: dataBytes))
        let text = try #require(try refusal(file))
        #expect(text.contains(reason), "\(text)")
    }

    @Test(arguments: [0, 1, 9, 1 << 40, .max, 1 << 63, 100_000_001, 100_000_000] as [UInt64])
    func lyingLengthsAreRefused(length: UInt64) throws {
        #expect(try refusal(SafetensorsWriter.littleEndian(length) + Array("{}      ".utf8)) != nil)
    }

    @Test func shortFilesAreRefused() throws {
        for count in 0..<8 { #expect(try refusal([UInt8](repeating: 0, count: count)) != nil) }
        let deep = String(repeating: "[", count: 5000)
        #expect(try refusal(SafetensorsWriter.file(header: deep, data: [])) != nil)
        let notText = SafetensorsWriter.littleEndian(8 as UInt64) + [UInt8](repeating: 0xFF, count: 8)
        #expect(try refusal(notText) != nil)
        let rank = "[" + [String](repeating: "1", count: 300).joined(separator: ",") + "]"
        let header = #"{"a":{"dtype":"F32","shape":\#(rank),"data_offsets":[0,4]}}"#
        #expect(try refusal(SafetensorsWriter.file(header: header, data: [0, 0, 0, 0])) != nil)
    }

    @Test func anHonestFileIsListed() throws {
        var writer = SafetensorsWriter()
        writer.add("model.norm.weight", dtype: "BF16", shape: [4], bytes: [UInt8](0..<8))
        writer.add("steps", dtype: "I64", shape: [], bytes: [UInt8](0..<8))
        writer.add("nothing", dtype: "F32", shape: [0, 3], bytes: [])
        let directory = try TemporaryDirectory()
        let file = try SafetensorsFile(path: directory.write(writer.file, to: "model.safetensors"))
        #expect(Set(file.entries.map(\.name)) == ["model.norm.weight", "steps", "nothing"])
        let steps = try #require(file.entries.first { $0.name == "steps" })
        #expect(steps.dtype == nil && steps.dtypeName == "I64" && steps.shape == [] && steps.bytes.count == 8)
    }
}
