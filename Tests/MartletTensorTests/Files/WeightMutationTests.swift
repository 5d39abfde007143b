import Foundation
import MartletTensor
import MartletTestSupport
import Testing

/// Files with wrong bytes give a typed error, or load with every tensor inside the file: never a trap. The seed of
/// a failing case is its argument.
@Suite struct WeightMutationTests {
    private static let casesPerSeed = 500

    /// Flips of 1 to 8 bytes, mostly in the header; a truncation; or a piece copied over another.
    private func mutate(_ bytes: [UInt8], headerBytes: Int, using random: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return Array(bytes.prefix(bytes.count * Int.random(in: 0..<64, using: &random) / 64))
        case 1:
            let count = Int.random(in: 1...40, using: &random)
            let from = Int.random(in: 0..<bytes.count - count, using: &random)
            let to = Int.random(in: 0..<headerBytes, using: &random)
            bytes.replaceSubrange(to..<min(to + count, bytes.count), with: bytes[from..<from + count])
        default:
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                let place = Int.random(in: 0..<headerBytes, using: &random)
                bytes[place] =
                    Bool.random(using: &random)
                    ? [0, 1, 9, 0x30, 0x39, 0x7F, 0x80, 0xFF].randomElement(using: &random) ?? 0
                    : bytes[place] ^ 1 << UInt8.random(in: 0..<8, using: &random)
            }
        }
        return bytes
    }

    private func readAll(_ source: any WeightSource, _ tensors: [TensorInfo]) throws {
        for info in tensors where info.rows > 0 {
            let sum = try source.withRows(info.name, 0..<info.rows) { $0.reduce(0) { $0 &+ Int($1) } }
            #expect(sum >= 0)
        }
    }

    @Test(arguments: 0..<6) func safetensors(seed: Int) throws {
        let directory = try TemporaryDirectory()
        var writer = SafetensorsWriter()
        writer.add("model.embed_tokens.weight", dtype: "BF16", shape: [4, 8], bytes: [UInt8](repeating: 1, count: 64))
        writer.add("model.norm.weight", shape: [8], bytes: [UInt8](repeating: 2, count: 32))
        writer.add("lm_head.weight", dtype: "F16", shape: [4, 8], bytes: [UInt8](repeating: 3, count: 64))
        let honest = writer.file
        let headerBytes = honest.count - 160
        var random = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<Self.casesPerSeed {
            let bytes = mutate(honest, headerBytes: headerBytes, using: &random)
            let path = try directory.write(bytes, to: "model.safetensors")
            do throws(WeightError) {
                let checkpoint = try SafetensorsCheckpoint(file: path)
                do { try readAll(checkpoint, checkpoint.tensors) } catch { Issue.record("\(error)") }
            } catch {
                #expect(!error.reason.isEmpty)
            }
        }
    }

    @Test(arguments: 0..<6) func packed(seed: Int) throws {
        let directory = try TemporaryDirectory()
        let honestPath = directory.path + "/honest.safetensors"
        let items = [("lm_head.weight", DType.q8_0, [4, 32], true), ("model.norm.weight", .f32, [8], false)].map {
            PackedFileWriter.Item(info: TensorInfo(name: $0.0, dtype: $0.1, shape: $0.2), isPanels: $0.3)
        }
        let packer = try PackedFileWriter(path: honestPath, layout: "x", items: items)
        try [UInt8](repeating: 1, count: 576).withUnsafeBytes { try packer.write($0) }
        try [UInt8](repeating: 2, count: 32).withUnsafeBytes { try packer.write($0) }
        try packer.finish()
        let honest = try [UInt8](Data(contentsOf: URL(fileURLWithPath: honestPath)))
        // Most of the header is its padding.
        let headerBytes = honest.prefix(4096).lastIndex { $0 != UInt8(ascii: " ") } ?? 8
        var random = SeededGenerator(seed: UInt64(seed) &+ 2000)
        for _ in 0..<Self.casesPerSeed {
            let bytes = mutate(honest, headerBytes: headerBytes, using: &random)
            let path = try directory.write(bytes, to: "model.safetensors")
            do throws(WeightError) {
                let checkpoint = try SafetensorsCheckpoint(file: path)
                for info in checkpoint.tensors {
                    do {
                        if let panels = try checkpoint.panels(info.name) {
                            #expect(panels.bytes.reduce(0) { $0 &+ Int($1) } >= 0)
                        } else {
                            try readAll(checkpoint, [info])
                        }
                    } catch { Issue.record("\(error)") }
                }
            } catch {
                #expect(!error.reason.isEmpty)
            }
        }
    }

    @Test(arguments: 0..<6) func gguf(seed: Int) throws {
        let directory = try TemporaryDirectory()
        var writer = GGUFWriter()
        writer.set("general.architecture", .string("llama"))
        writer.set("llama.attention.head_count", .uint32(2))
        writer.set("general.alignment", .uint32(32))
        writer.set("tokenizer.ggml.tokens", .array([.string("a"), .string("b")]))
        writer.add("token_embd.weight", dimensions: [32, 2], type: 8, bytes: [UInt8](repeating: 1, count: 68))
        writer.add("blk.0.attn_q.weight", dimensions: [32, 8], type: 1, bytes: [UInt8](repeating: 1, count: 512))
        writer.add("output_norm.weight", dimensions: [32], bytes: [UInt8](repeating: 1, count: 128))
        let honest = writer.file
        let headerBytes = honest.count - 736
        var random = SeededGenerator(seed: UInt64(seed) &+ 1000)
        for _ in 0..<Self.casesPerSeed {
            let path = try directory.write(mutate(honest, headerBytes: headerBytes, using: &random), to: "model.gguf")
            do throws(WeightError) {
                let file = try GGUFFile(path: path)
                let checkpoint = try GGUFCheckpoint(text: file, projector: nil)
                do { try readAll(checkpoint, checkpoint.tensors) } catch { Issue.record("\(error)") }
            } catch {
                #expect(!error.reason.isEmpty)
            }
        }
    }
}
