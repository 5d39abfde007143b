import MartletTensor

extension ModelConfiguration {
    /// Every tensor of the model under its canonical name (MODEL.md 1.6, 2.2), in the order of the graph: what a
    /// dummy checkpoint makes, what a real one must have and what `plan` counts. Plain types throughout have
    /// `dtype`; where that is quantised, norms and biases are f32 and matrices count as if all had it.
    package var tensors: [TensorInfo] {
        var list = TensorList(dtype: dtype)
        list.addDecoder(decoder, hasFusedGate: architecture != .llama)
        if let vision { list.addVision(vision) }
        return list.tensors
    }

    /// The model's tensors as `source` spells and stores them, in the order of the graph; `check` says it has them.
    package func tensors(of source: any WeightSource) -> [TensorInfo] {
        var seen: Set<String> = []
        return tensors.flatMap { expected -> [TensorInfo] in
            let found = source.info(expected.name).map { [$0] }
                ?? (Self.alternatives(expected) ?? []).compactMap { source.info($0.name) }
            return found.filter { seen.insert($0.name).inserted }
        }
    }

    /// `source` with its matrices in the order in which they are multiplied.
    package func asMultiplied(_ source: any WeightSource) -> any WeightSource {
        guard let vision else { return source }
        return MergedConvolution(source, vision)
    }

    /// Throws unless `source` has every tensor of the model in its shape. `gate_up_proj` may be in two pieces, and
    /// two pieces may be one.
    package func check(_ source: any WeightSource, file: String) throws(ModelError) {
        var missing: [TensorInfo] = []
        for expected in tensors {
            if let found = source.info(expected.name) {
                try Self.check(found, has: expected.shape, file: file)
            } else if let others = Self.alternatives(expected) {
                for other in others {
                    guard let found = source.info(other.name) else { continue }
                    try Self.check(found, has: other.shape, file: file)
                }
                if !others.allSatisfy({ source.info($0.name) != nil }) { missing.append(expected) }
            } else {
                missing.append(expected)
            }
        }
        guard let first = missing.first else { return }
        if let type = (source as? SafetensorsCheckpoint)?.unreadableType(first.name) {
            throw ModelError(
                file: file, field: "tensor \(first.name)",
                reason:
                    "has dtype \(type); F32, F16 and BF16 are read. Is this a quantised checkpoint? Take the bf16 or"
                    + " f16 one, or a GGUF file (Q4_K_M or Q8_0)")
        }
        let others = missing.count > 1 ? ", and so are \(missing.count - 1) more" : ""
        let hint = first.name == TensorName.head ? " (and tie_word_embeddings is not true)" : ""
        throw ModelError(
            file: file, field: "tensor \(first.name)", reason: "of shape \(first.shape) is missing\(hint)\(others)")
    }

    private static func check(_ found: TensorInfo, has shape: [Int], file: String) throws(ModelError) {
        guard found.shape == shape else {
            throw ModelError(
                file: file, field: "tensor \(found.name)",
                reason: "has shape \(found.shape) where the configuration needs \(shape)")
        }
    }

    /// The other spelling of a gated MLP's first half: fused for separate, separate for fused.
    private static func alternatives(_ info: TensorInfo) -> [TensorInfo]? {
        guard info.name.hasPrefix(TensorName.textPrefix) else { return nil }
        func other(_ old: String, _ new: String, rows: Int) -> TensorInfo {
            TensorInfo(
                name: info.name.dropLast(old.count) + new, dtype: info.dtype, shape: [rows, info.columns])
        }
        let fused = "gate_up_proj.weight", gate = "gate_proj.weight", up = "up_proj.weight"
        if info.name.hasSuffix(fused) {
            return [other(fused, gate, rows: info.rows / 2), other(fused, up, rows: info.rows / 2)]
        }
        if info.name.hasSuffix(gate) { return [other(gate, fused, rows: info.rows * 2)] }
        if info.name.hasSuffix(up) { return [other(up, fused, rows: info.rows * 2)] }
        return nil
    }
}

/// A list of tensors being written down.
private struct TensorList {
    let dtype: DType
    var tensors: [TensorInfo] = []

    init(dtype: DType) { self.dtype = dtype }

    private mutating func add(_ name: String, _ shape: Int...) {
        let isVector = shape.count == 1
        tensors.append(TensorInfo(name: name, dtype: isVector && dtype.isQuantized ? .f32 : dtype, shape: shape))
    }

    mutating func addDecoder(_ decoder: DecoderConfiguration, hasFusedGate: Bool) {
        let prefix = TensorName.textPrefix
        let hidden = decoder.hiddenSize
        add(TensorName.embedding, decoder.vocabularyRows, hidden)
        for index in 0..<decoder.layerCount {
            addLayer("\(prefix)layers.\(index).", decoder, hasFusedGate: hasFusedGate)
        }
        add(prefix + "norm.weight", hidden)
        if !decoder.hasTiedHead { add(TensorName.head, decoder.vocabularyRows, hidden) }
    }

    private mutating func addLayer(_ layer: String, _ decoder: DecoderConfiguration, hasFusedGate: Bool) {
        let hidden = decoder.hiddenSize
        let widths = [decoder.heads.queryWidth, decoder.heads.keyValueWidth, decoder.heads.keyValueWidth]
        add(layer + "input_layernorm.weight", hidden)
        for (name, width) in zip(["q_proj", "k_proj", "v_proj"], widths) {
            add("\(layer)self_attn.\(name).weight", width, hidden)
            if decoder.hasAttentionBias { add("\(layer)self_attn.\(name).bias", width) }
        }
        add(layer + "self_attn.o_proj.weight", hidden, decoder.heads.queryWidth)
        if decoder.hasSandwichNorms { add(layer + "post_self_attn_layernorm.weight", hidden) }
        add(layer + "post_attention_layernorm.weight", hidden)
        if hasFusedGate {
            add(layer + "mlp.gate_up_proj.weight", 2 * decoder.intermediateSize, hidden)
        } else {
            add(layer + "mlp.gate_proj.weight", decoder.intermediateSize, hidden)
            add(layer + "mlp.up_proj.weight", decoder.intermediateSize, hidden)
        }
        add(layer + "mlp.down_proj.weight", hidden, decoder.intermediateSize)
        if decoder.hasSandwichNorms { add(layer + "post_mlp_layernorm.weight", hidden) }
    }

    mutating func addVision(_ vision: VisionConfiguration) {
        let prefix = TensorName.visionPrefix
        let hidden = vision.hiddenSize, inner = vision.blockIntermediateSize, output = vision.outputSize
        add(
            prefix + "patch_embed.proj.weight", hidden, 3, vision.temporalPatchSize, vision.patchSize, vision.patchSize)
        add(prefix + "patch_embed.proj.bias", hidden)
        add(prefix + "post_conv_layernorm.weight", hidden)
        add(prefix + "embeddings.position_embedding.weight", vision.positionSide * vision.positionSide, hidden)
        for index in 0..<vision.depth {
            let block = "\(prefix)blocks.\(index)."
            add(block + "norm1.weight", hidden)
            add(block + "attn.qkv.weight", 3 * hidden, hidden)
            if vision.hasAttentionBias { add(block + "attn.qkv.bias", 3 * hidden) }
            add(block + "attn.proj.weight", hidden, hidden)
            add(block + "norm2.weight", hidden)
            add(block + "mlp.gate_proj.weight", inner, hidden)
            add(block + "mlp.up_proj.weight", inner, hidden)
            add(block + "mlp.down_proj.weight", hidden, inner)
        }
        add(prefix + "post_layernorm.weight", hidden)
        add(prefix + "downsample.weight", output, hidden, vision.mergeSize, vision.mergeSize)
        add(prefix + "downsample.bias", output)
        add(prefix + "merger.proj.weight", output, output)
        add(prefix + "merger.post_projection_norm.weight", output)
        add(prefix + "merger.post_projection_norm.bias", output)
        add(prefix + "merger.gate_proj.weight", vision.mergerIntermediateSize, output)
        add(prefix + "merger.up_proj.weight", vision.mergerIntermediateSize, output)
        add(prefix + "merger.down_proj.weight", output, vision.mergerIntermediateSize)
    }
}
