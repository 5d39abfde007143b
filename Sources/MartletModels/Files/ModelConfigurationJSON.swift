import MartletCore
import MartletTensor

extension ModelConfiguration {
    /// What `config.json` and `generation_config.json` say, in either layout (MODEL.md 1.2). Everything is checked
    /// before anything is allocated. Throws naming `file` and the key.
    package init(config: JSONValue, generation: JSONValue?, file: String) throws(ModelError) {
        let top = try ConfigurationObject(file: file, document: config)
        let architecture = try Self.architecture(top)
        let text = try top.child("text_config") ?? top
        try Self.refuseQuantization(top)
        try Self.refuseQuantization(text)
        let defaults = DecoderDefaults(architecture)
        let decoder = try Self.decoder(architecture, top: top, text: text, defaults: defaults)
        var vision: VisionConfiguration?
        var imageToken: TokenID?
        if architecture == .glm4v {
            vision = try Self.vision(top, outputSize: decoder.hiddenSize)
            imageToken = try Self.imageToken(top, vocabulary: decoder.vocabularyRows)
        }
        self.init(
            architecture: architecture, decoder: decoder, vision: vision, imageToken: imageToken,
            endTokens: try Self.endTokens(
                [text, top], generation: generation, file: file, vocabulary: decoder.vocabularyRows,
                defaults: defaults),
            dtype: try Self.dtype(top, text))
    }

    private static func architecture(_ top: ConfigurationObject) throws(ModelError) -> ModelArchitecture {
        let known = ModelArchitecture.allCases.map(\.rawValue).joined(separator: ", ")
        guard let name = top["architectures"]?.array?.first?.string else {
            throw top.fault("architectures", "names no architecture; built are \(known)")
        }
        guard let architecture = ModelArchitecture(rawValue: name) else {
            throw top.fault("architectures", "\(name) is not built; built are \(known)")
        }
        return architecture
    }

    private static func refuseQuantization(_ object: ConfigurationObject) throws(ModelError) {
        guard let quantization = object["quantization_config"] else { return }
        let method = quantization["quant_method"]?.string ?? "an unnamed method"
        throw object.fault(
            "quantization_config",
            "checkpoints quantised with \(method) are not read. Take the bf16 or f16 safetensors of the same model,"
                + " or a GGUF file of it (Q4_K_M for little memory, Q8_0 for precision) with its mmproj")
    }

    private static func imageToken(_ top: ConfigurationObject, vocabulary: Int) throws(ModelError) -> TokenID {
        if let id = try top.integer("image_token_id", 0...(vocabulary - 1)) { return TokenID(id) }
        let usual = 151_343
        guard usual < vocabulary else {
            throw top.fault(
                "image_token_id", "is missing, and the usual \(usual) is not below the vocabulary of \(vocabulary)")
        }
        return TokenID(usual)
    }

    private static func decoder(
        _ architecture: ModelArchitecture, top: ConfigurationObject, text: ConfigurationObject,
        defaults: DecoderDefaults
    ) throws(ModelError) -> DecoderConfiguration {
        let hidden = try text.integer("hidden_size", ModelLimits.width, missing: defaults.hiddenSize)
        try text.check("hidden_act", isOneOf: ["silu", "swish"])
        let heads = try heads(text, hidden: hidden, defaults: defaults)
        let hasBias = try text.bool("attention_bias") ?? false
        if architecture == .llama {
            // A Llama with this flag has a bias on o_proj too, which the graph has no place for.
            if hasBias { throw text.fault("attention_bias", "true is not built for \(architecture.rawValue)") }
            if try text.bool("mlp_bias") == true { throw text.fault("mlp_bias", "true is not built") }
        }
        let rotary = try RotaryKeys(top: top, text: text).configuration(
            headDimension: heads.dimension, pairing: architecture == .llama ? .halfSplit : .interleaved,
            partialDefault: defaults.partialRotaryFactor, hasSections: architecture == .glm4v)
        return DecoderConfiguration(
            layerCount: try text.integer("num_hidden_layers", ModelLimits.layers, missing: defaults.layerCount),
            hiddenSize: hidden,
            intermediateSize: try text.integer(
                "intermediate_size", ModelLimits.width, missing: defaults.intermediateSize),
            heads: heads,
            vocabularyRows: try text.integer("vocab_size", ModelLimits.vocabulary, missing: defaults.vocabularyRows),
            maxPositions: try text.integer(
                "max_position_embeddings", ModelLimits.positions, missing: defaults.maxPositions),
            normEpsilon: Float(try text.number("rms_norm_eps", ModelLimits.epsilon, missing: defaults.normEpsilon)),
            rotary: rotary, hasAttentionBias: architecture == .glm4v || hasBias,
            hasSandwichNorms: architecture != .llama,
            hasTiedHead: try isTied(top, text))
    }

    private static func isTied(_ top: ConfigurationObject, _ text: ConfigurationObject) throws(ModelError) -> Bool {
        if let tied = try top.bool("tie_word_embeddings") { return tied }
        return try text.bool("tie_word_embeddings") ?? false
    }

    private static func heads(
        _ text: ConfigurationObject, hidden: Int, defaults: DecoderDefaults
    ) throws(ModelError) -> AttentionHeads {
        let queries = try text.integer("num_attention_heads", ModelLimits.heads, missing: defaults.queryHeads)
        let keyValues = try text.integer(
            "num_key_value_heads", ModelLimits.heads, missing: defaults.keyValueHeads ?? queries)
        guard queries % keyValues == 0 else {
            throw text.fault("num_key_value_heads", "is \(keyValues), which does not divide the \(queries) query heads")
        }
        if let dimension = try text.integer("head_dim", ModelLimits.headDimension) {
            return AttentionHeads(queryCount: queries, keyValueCount: keyValues, dimension: dimension)
        }
        guard hidden % queries == 0, ModelLimits.headDimension.contains(hidden / queries) else {
            throw text.fault("num_attention_heads", "\(queries) heads do not divide the hidden size of \(hidden)")
        }
        return AttentionHeads(queryCount: queries, keyValueCount: keyValues, dimension: hidden / queries)
    }

    private static func vision(
        _ top: ConfigurationObject, outputSize: Int
    ) throws(ModelError) -> VisionConfiguration {
        let vision = try top.child("vision_config") ?? top.empty("vision_config")
        try vision.check("hidden_act", isOneOf: ["silu", "swish"])
        let hidden = try vision.integer("hidden_size", ModelLimits.width, missing: 1536)
        let heads = try vision.integer("num_heads", ModelLimits.heads, missing: 12)
        guard hidden % heads == 0, hidden / heads % 4 == 0 else {
            throw vision.fault("num_heads", "\(heads) heads do not divide \(hidden) into multiples of 4")
        }
        let output = try vision.integer("out_hidden_size", ModelLimits.width, missing: 4096)
        guard output == outputSize else {
            throw vision.fault("out_hidden_size", "is \(output), and the text decoder is \(outputSize) wide")
        }
        let patch = try vision.integer("patch_size", ModelLimits.patch, missing: 14)
        let image = try vision.integer("image_size", ModelLimits.image, missing: 336)
        guard image % patch == 0 else { throw vision.fault("image_size", "is no multiple of the patch size \(patch)") }
        _ = try vision.integer("in_channels", 3...3)
        return VisionConfiguration(
            depth: try vision.integer("depth", ModelLimits.layers, missing: 24), hiddenSize: hidden, headCount: heads,
            blockIntermediateSize: output, outputSize: output,
            mergerIntermediateSize: try vision.integer("intermediate_size", ModelLimits.width, missing: 13696),
            patchSize: patch,
            temporalPatchSize: try vision.integer("temporal_patch_size", 1...8, missing: 2),
            mergeSize: try vision.integer("spatial_merge_size", 2...2, missing: 2), positionSide: image / patch,
            normEpsilon: Float(try vision.number("rms_norm_eps", ModelLimits.epsilon, missing: 1e-5)),
            hasAttentionBias: try vision.bool("attention_bias") ?? false)
    }

    private static func endTokens(
        _ objects: [ConfigurationObject], generation: JSONValue?, file: String, vocabulary: Int,
        defaults: DecoderDefaults
    ) throws(ModelError) -> [TokenID] {
        var tokens: [TokenID] = []
        for object in objects { tokens += try object.tokens("eos_token_id", vocabulary: vocabulary) }
        if let generation {
            let object = try ConfigurationObject(file: Self.sibling(of: file), document: generation)
            tokens += try object.tokens("eos_token_id", vocabulary: vocabulary)
        }
        if tokens.isEmpty { tokens = defaults.endTokens.filter { $0 < vocabulary } }
        var seen: Set<TokenID> = []
        return tokens.filter { seen.insert($0).inserted }
    }

    private static func sibling(of file: String) -> String {
        guard let slash = file.lastIndex(of: "/") else { return "generation_config.json" }
        return file[...slash] + "generation_config.json"
    }

    /// `dtype`, or `torch_dtype` as older files say; bf16 where neither is given or both say "auto".
    private static func dtype(_ objects: ConfigurationObject...) throws(ModelError) -> DType {
        for object in objects {
            for key in ["dtype", "torch_dtype"] {
                switch try object.string(key) {
                case nil, "auto": continue
                case "float32", "torch.float32": return .f32
                case "float16", "torch.float16": return .f16
                case "bfloat16", "torch.bfloat16": return .bf16
                case .some(let name):
                    throw object.fault(key, "is \"\(name)\"; float32, float16 and bfloat16 are built")
                }
            }
        }
        return .bf16
    }
}

/// What the reference assumes where `config.json` is silent.
struct DecoderDefaults {
    var hiddenSize = 4096
    var intermediateSize = 13696
    var layerCount = 40
    var queryHeads = 32
    /// nil: as many as query heads.
    var keyValueHeads: Int? = 2
    var vocabularyRows = 151_552
    var maxPositions = 32_768
    var normEpsilon = 1e-5
    var partialRotaryFactor = 0.5
    var endTokens: [TokenID] = [151_329, 151_336, 151_338, 151_348]

    init(_ architecture: ModelArchitecture) {
        switch architecture {
        case .glm4v: break
        case .glm4:
            maxPositions = 131_072
            normEpsilon = 1.5625e-7
            endTokens = [151_329, 151_336, 151_338]
        case .llama:
            intermediateSize = 11008
            layerCount = 32
            keyValueHeads = nil
            vocabularyRows = 32_000
            maxPositions = 2048
            normEpsilon = 1e-6
            partialRotaryFactor = 1
            endTokens = [2]
        }
    }
}
