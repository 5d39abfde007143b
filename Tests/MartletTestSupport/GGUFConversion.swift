import MartletTensor

/// Writes a GLM checkpoint with canonical names as the pair of GGUF files that llama.cpp's converter makes of it:
/// its names, its order of rows, its two slices of the patch embedding (MODEL.md 8.2, 8.3). The tests' own second
/// opinion of `GGUFCheckpoint`.
package struct GGUFConversion {
    package let source: any WeightSource
    package let tensors: [TensorInfo]
    package var queryHeads: Int
    package var keyValueHeads: Int
    /// Rows at the start of each head that are reordered; 0 leaves all as they are and writes no sections.
    package var rotaryDimension: Int
    package var sections: [Int]
    /// How the values of a matrix [rows, columns] are stored; vectors stay f32.
    package var encode: (_ name: String, _ values: [Float], _ columns: Int) -> (dtype: DType, bytes: [UInt8])

    package init(
        source: any WeightSource, tensors: [TensorInfo], queryHeads: Int, keyValueHeads: Int, rotaryDimension: Int,
        sections: [Int]
    ) {
        self.source = source
        self.tensors = tensors
        self.queryHeads = queryHeads
        self.keyValueHeads = keyValueHeads
        self.rotaryDimension = rotaryDimension
        self.sections = sections
        encode = { _, values, _ in (.f32, Self.bytes(values)) }
    }

    package static func bytes(_ values: [Float]) -> [UInt8] {
        values.flatMap { SafetensorsWriter.littleEndian($0.bitPattern) }
    }

    /// The text file; `metadata` is what its maker adds to what is written of the rotary embedding here.
    package func text(_ metadata: [(String, GGUFWriter.Value)]) throws -> GGUFWriter {
        var writer = GGUFWriter()
        writer.set("general.architecture", .string("glm4"))
        for (key, value) in metadata { writer.set(key, value) }
        writer.set("glm4.attention.head_count", .uint32(UInt32(queryHeads)))
        writer.set("glm4.attention.head_count_kv", .uint32(UInt32(keyValueHeads)))
        if rotaryDimension > 0 {
            writer.set("glm4.rope.dimension_count", .uint32(UInt32(rotaryDimension)))
            writer.set("glm4.rope.dimension_sections", .array((sections + [0]).map { .int32(Int32($0)) }))
        }
        for info in tensors where !info.name.hasPrefix(TensorName.visionPrefix) {
            var values = try self.values(info)
            if info.name.contains(".q_proj.") { values = evenThenOdd(values, info, heads: queryHeads) }
            if info.name.contains(".k_proj.") { values = evenThenOdd(values, info, heads: keyValueHeads) }
            add(Self.textName(info.name), info.shape, values, to: &writer)
        }
        return writer
    }

    /// The vision file.
    package func vision(_ metadata: [(String, GGUFWriter.Value)]) throws -> GGUFWriter {
        var writer = GGUFWriter()
        writer.set("general.architecture", .string("clip"))
        writer.set("clip.projector_type", .string("glm4v"))
        for (key, value) in metadata { writer.set(key, value) }
        for info in tensors where info.name.hasPrefix(TensorName.visionPrefix) {
            let name = String(info.name.dropFirst(TensorName.visionPrefix.count))
            let values = try self.values(info)
            guard name == "patch_embed.proj.weight" else {
                add(Self.visionName(name), info.shape, values, to: &writer)
                continue
            }
            let plane = info.shape[3] * info.shape[4]
            for frame in 0..<info.shape[2] {
                var slice: [Float] = []
                for start in stride(from: frame * plane, to: values.count, by: info.shape[2] * plane) {
                    slice += values[start..<start + plane]
                }
                let shape = [info.shape[0], info.shape[1], info.shape[3], info.shape[4]]
                let suffix = frame == 0 ? "" : ".\(frame)"
                writer.add("v.patch_embd.weight\(suffix)", shape: shape, dtype: .f32, bytes: Self.bytes(slice))
            }
        }
        return writer
    }

    private func values(_ info: TensorInfo) throws -> [Float] {
        try source.withRows(info.name, 0..<info.rows) { QuantizedBlocks.dequantize($0, dtype: info.dtype) }
    }

    private func add(_ name: String, _ shape: [Int], _ values: [Float], to writer: inout GGUFWriter) {
        let isPlain = shape.count != 2 || name == "v.position_embd.weight"
        let (dtype, bytes) = isPlain ? (.f32, Self.bytes(values)) : encode(name, values, shape[1])
        writer.add(name, shape: shape, dtype: dtype, bytes: bytes)
    }

    /// Rows 0, 2, 4, … of the rotary part of each head, then 1, 3, 5, …, then the rest.
    private func evenThenOdd(_ values: [Float], _ info: TensorInfo, heads: Int) -> [Float] {
        let dimension = info.rows / heads
        let even = Array(stride(from: 0, to: rotaryDimension, by: 2))
        let order = even + even.map { $0 + 1 } + Array(rotaryDimension..<dimension)
        return (0..<heads).flatMap { head in
            order.flatMap { row -> ArraySlice<Float> in
                let start = (head * dimension + row) * info.columns
                return values[start..<start + info.columns]
            }
        }
    }

    private static func textName(_ name: String) -> String {
        var name = name.replacing(TensorName.textPrefix, with: "")
        let table = [
            ("embed_tokens", "token_embd"), ("lm_head", "output"), ("layers.", "blk."),
            ("input_layernorm", "attn_norm"),
            ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"), ("self_attn.v_proj", "attn_v"),
            ("self_attn.o_proj", "attn_output"), ("post_attention_layernorm", "ffn_norm"),
            ("post_self_attn_layernorm", "post_attention_norm"), ("post_mlp_layernorm", "post_ffw_norm"),
            ("mlp.gate_up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down"),
        ]
        if name == "norm.weight" { return "output_norm.weight" }
        for (old, new) in table { name = name.replacing(old, with: new) }
        return name
    }

    private static func visionName(_ name: String) -> String {
        var name = name
        let table = [
            ("patch_embed.proj", "v.patch_embd"), ("post_conv_layernorm", "v.norm_embd"),
            ("embeddings.position_embedding", "v.position_embd"), ("post_layernorm", "v.post_ln"),
            ("downsample", "mm.patch_merger"), ("merger.proj", "mm.model.fc"),
            ("merger.post_projection_norm", "mm.post_norm"), ("merger.gate_proj", "mm.gate"),
            ("merger.up_proj", "mm.up"), ("merger.down_proj", "mm.down"), ("blocks.", "v.blk."), ("norm1", "ln1"),
            ("norm2", "ln2"), ("attn.qkv", "attn_qkv"), ("attn.proj", "attn_out"), ("mlp.gate_proj", "ffn_gate"),
            ("mlp.up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down"),
        ]
        for (old, new) in table { name = name.replacing(old, with: new) }
        return name
    }
}
