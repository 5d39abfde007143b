import MartletCore
import MartletTensor

extension ModelConfiguration {
    /// What a GGUF text file and, for images, its vision file say (MODEL.md 8.2, 8.3). Sizes come from the tensors'
    /// shapes; metadata that contradicts them is an error. `projector` is ignored for architectures without images.
    package init(gguf text: GGUFFile, projector: GGUFFile?) throws(ModelError) {
        let name = text.metadata["general.architecture"]?.string ?? ""
        guard name == "glm4" || name == "llama" else {
            throw ModelError(
                file: text.path, field: "general.architecture",
                reason:
                    "is \"\(name)\"; glm4 and llama are built (with a clip file of projector type glm4v beside glm4)")
        }
        let isGLM = name == "glm4"
        let projector = isGLM ? projector : nil
        let metadata = GGUFMetadata(file: text, prefix: name + ".")
        let decoder = try Self.decoder(metadata, isGLM: isGLM, hasImages: projector != nil)
        let tokens = text.metadata["tokenizer.ggml.tokens"]?.strings ?? []
        guard tokens.count <= decoder.vocabularyRows else {
            throw ModelError(
                file: text.path, field: "tokenizer.ggml.tokens",
                reason: "are \(tokens.count), more than the \(decoder.vocabularyRows) rows of the embedding")
        }
        var vision: VisionConfiguration?
        var imageToken: TokenID?
        if let projector {
            vision = try Self.vision(projector, outputSize: decoder.hiddenSize)
            guard let id = tokens.firstIndex(of: "<|image|>") else {
                throw ModelError(file: text.path, field: "tokenizer.ggml.tokens", reason: "has no <|image|>")
            }
            imageToken = TokenID(id)
        }
        self.init(
            architecture: isGLM ? (vision == nil ? .glm4 : .glm4v) : .llama, decoder: decoder, vision: vision,
            imageToken: imageToken,
            endTokens: try Self.endTokens(text, tokens: tokens, isGLM: isGLM, vocabulary: decoder.vocabularyRows),
            dtype: Self.dominantDType(text.tensors))
    }

    /// The type that most elements of the matrices have; f32 if there are none.
    static func dominantDType(_ tensors: [TensorInfo]) -> DType {
        var elements: [DType: Int] = [:]
        for info in tensors where info.shape.count > 1 { elements[info.dtype, default: 0] += info.elementCount }
        return DType.allCases.max { (elements[$0] ?? 0) < (elements[$1] ?? 0) } ?? .f32
    }

    private static func decoder(
        _ metadata: GGUFMetadata, isGLM: Bool, hasImages: Bool
    ) throws(ModelError) -> DecoderConfiguration {
        let embedding = try metadata.tensor("token_embd.weight", rank: 2)
        let hidden = embedding.columns
        if let stated = try metadata.integer("embedding_length", ModelLimits.width), stated != hidden {
            throw metadata.fault("embedding_length", "is \(stated), and the embedding has \(hidden) columns")
        }
        guard ModelLimits.width.contains(hidden) else {
            throw metadata.fault("embedding_length", "\(hidden) is over the limit of \(ModelLimits.width.upperBound)")
        }
        let heads = try heads(metadata)
        if let type = metadata.value("rope.scaling.type")?.string, type != "none" {
            throw metadata.fault("rope.scaling.type", "is \"\(type)\", which is not built")
        }
        let down = try metadata.tensor("blk.0.ffn_down.weight", rank: 2)
        return DecoderConfiguration(
            layerCount: try metadata.required("block_count", ModelLimits.layers), hiddenSize: hidden,
            intermediateSize: down.columns, heads: heads, vocabularyRows: embedding.rows,
            maxPositions: try metadata.required("context_length", ModelLimits.positions),
            normEpsilon: Float(
                try metadata.number("attention.layer_norm_rms_epsilon", ModelLimits.epsilon, missing: 1e-5)),
            rotary: try rotary(metadata, headDimension: heads.dimension, isGLM: isGLM, hasImages: hasImages),
            hasAttentionBias: metadata.has("blk.0.attn_q.bias"), hasSandwichNorms: isGLM,
            hasTiedHead: !metadata.has("output.weight"))
    }

    private static func heads(_ metadata: GGUFMetadata) throws(ModelError) -> AttentionHeads {
        let queries = try metadata.required("attention.head_count", ModelLimits.heads)
        let keyValues = try metadata.integer("attention.head_count_kv", ModelLimits.heads) ?? queries
        let rows = try metadata.tensor("blk.0.attn_q.weight", rank: 2).rows
        guard queries % keyValues == 0 else {
            throw metadata.fault(
                "attention.head_count_kv", "is \(keyValues), which does not divide \(queries) query heads")
        }
        guard rows % queries == 0, ModelLimits.headDimension.contains(rows / queries) else {
            throw metadata.fault("attention.head_count", "\(queries) heads do not divide the \(rows) query rows")
        }
        return AttentionHeads(queryCount: queries, keyValueCount: keyValues, dimension: rows / queries)
    }

    private static func rotary(
        _ metadata: GGUFMetadata, headDimension: Int, isGLM: Bool, hasImages: Bool
    ) throws(ModelError) -> RotaryConfiguration {
        let usual = isGLM ? headDimension / 2 : headDimension
        let dimensions = try metadata.integer("rope.dimension_count", 2...max(2, headDimension)) ?? usual
        guard dimensions >= 2, dimensions % 2 == 0, dimensions <= headDimension else {
            throw metadata.fault("rope.dimension_count", "\(dimensions) is not even or over \(headDimension)")
        }
        let theta = try metadata.number("rope.freq_base", ModelLimits.theta, missing: 10000)
        var frequencies = RotaryConfiguration.inverseFrequencies(theta: theta, dimensions: dimensions)
        let factors = try frequencyFactors(metadata, count: frequencies.count)
        for (index, factor) in factors.enumerated() { frequencies[index] /= factor }
        var axis = [Int](repeating: 0, count: frequencies.count)
        if hasImages {
            // Files without the key rotate in the original row order, where the usual sections are right (8.2).
            let sections = metadata.value("rope.dimension_sections").map { $0.integers ?? [] } ?? [8, 12, 12]
            guard let axes = RotaryConfiguration.axes(sections: sections, frequencyCount: frequencies.count) else {
                throw metadata.fault(
                    "rope.dimension_sections",
                    "\(sections) do not add up to \(frequencies.count) frequencies; convert the model again")
            }
            axis = axes
        }
        return RotaryConfiguration(
            pairing: isGLM ? .interleaved : .halfSplit, inverseFrequency: frequencies, axis: axis)
    }

    /// What `rope_freqs.weight` divides the frequencies by (Llama 3.1's scaling, computed by the converter); empty
    /// if the file has none.
    private static func frequencyFactors(_ metadata: GGUFMetadata, count: Int) throws(ModelError) -> [Float] {
        let name = "rope_freqs.weight"
        guard metadata.has(name) else { return [] }
        let info = try metadata.tensor(name, rank: 1)
        let factors: [Float]
        do {
            factors = try metadata.file.withRows(name, 0..<info.rows) {
                QuantizedBlocks.dequantize($0, dtype: info.dtype)
            }
        } catch {
            throw ModelError(file: metadata.file.path, field: "tensor \(name)", reason: "\(error)")
        }
        guard factors.count == count, factors.allSatisfy({ $0.isFinite && $0 > 0 }) else {
            throw ModelError(
                file: metadata.file.path, field: "tensor \(name)", reason: "is not \(count) positive factors")
        }
        return factors
    }

    private static func vision(_ file: GGUFFile, outputSize: Int) throws(ModelError) -> VisionConfiguration {
        let clip = GGUFMetadata(file: file, prefix: "clip.")
        let metadata = GGUFMetadata(file: file, prefix: "clip.vision.")
        let type = (clip.value("projector_type") ?? metadata.value("projector_type"))?.string ?? ""
        guard type == "glm4v" else { throw clip.fault("projector_type", "is \"\(type)\"; glm4v is built") }
        let patch = try metadata.tensor("v.patch_embd.weight", rank: 4)
        let hidden = patch.rows
        guard patch.shape[1] == 3, patch.shape[2] == patch.shape[3], ModelLimits.patch.contains(patch.shape[2]),
            ModelLimits.width.contains(hidden)
        else { throw metadata.fault("patch_size", "patches of shape \(patch.shape) are not built") }
        let heads = try metadata.required("attention.head_count", ModelLimits.heads)
        guard hidden % heads == 0, hidden / heads % 4 == 0 else {
            throw metadata.fault("attention.head_count", "\(heads) heads do not divide \(hidden) into multiples of 4")
        }
        let positions = try metadata.tensor("v.position_embd.weight", rank: 2).rows
        let side = Int(Double(positions).squareRoot())
        guard side * side == positions else {
            throw metadata.fault("image_size", "a position table of \(positions) rows is not square")
        }
        let down = try metadata.tensor("mm.down.weight", rank: 2)
        guard down.rows == outputSize else {
            throw metadata.fault(
                "projection_dim",
                "embeddings are \(down.rows) wide and the text model \(outputSize): not its vision file")
        }
        return VisionConfiguration(
            depth: try metadata.required("block_count", ModelLimits.layers), hiddenSize: hidden, headCount: heads,
            blockIntermediateSize: try metadata.tensor("v.blk.0.ffn_down.weight", rank: 2).columns,
            outputSize: outputSize, mergerIntermediateSize: down.columns, patchSize: patch.shape[2],
            temporalPatchSize: 2, mergeSize: try metadata.integer("spatial_merge_size", 2...2) ?? 2,
            positionSide: side,
            normEpsilon: Float(
                try metadata.number("attention.layer_norm_epsilon", ModelLimits.epsilon, missing: 1e-5)),
            hasAttentionBias: metadata.has("v.blk.0.attn_qkv.bias"))
    }

    /// The file's own end tokens, and for GLM those that it does not mark (MODEL.md 8.2), found by their text.
    private static func endTokens(
        _ file: GGUFFile, tokens: [String], isGLM: Bool, vocabulary: Int
    ) throws(ModelError) -> [TokenID] {
        let metadata = GGUFMetadata(file: file, prefix: "tokenizer.ggml.")
        var ids: [Int] = []
        for key in ["eos_token_id", "eot_token_id"] {
            if let id = try metadata.integer(key, 0...(vocabulary - 1)) { ids.append(id) }
        }
        if isGLM {
            let texts: Set = ["<|endoftext|>", "<|user|>", "<|observation|>", "</answer>"]
            ids += tokens.indices.filter { texts.contains(tokens[$0]) }
        }
        var seen: Set<Int> = []
        return ids.filter { seen.insert($0).inserted }.map { TokenID($0) }
    }
}
