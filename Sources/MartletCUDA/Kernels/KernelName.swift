import MartletTensor

/// A kernel of CCUDA, by what its name is made of: "attention_f16_128_16".
struct KernelName: Hashable {
    /// What it does; `rawValue` begins its name.
    enum Stem: String, CaseIterable {
        case rmsNorm = "rms_norm", addRMSNorm = "add_rms_norm", addBranch = "add_branch", layerNorm = "layer_norm"
        case siluMultiply = "silu_multiply", gelu, add, addBias = "add_bias"
        case narrow
        case embed, copyRows = "copy_rows"
        case rotaryTable = "rotary_table", rotate, rotateAndStore = "rotate_and_store"
        case extractPatches = "extract_patches", addPositions = "add_positions"
        case quantizeInt8 = "quantize_i8", quantizeFP8 = "quantize_e4m3"
        case scaleInt32 = "scale_i32", scaleFloat32 = "scale_f32"
        case multiply, multiplyGated = "multiply_gated", multiplyPlain = "multiply_plain", dequantize
        case attention, attentionPlain = "attention_plain", attentionCombine = "attention_combine"
        case fullAttention = "full_attention", fullAttentionPlain = "full_attention_plain"
        case sample
        case sumRanks = "sum_ranks"
    }

    let stem: Stem
    /// Element types, in the order of the name; the second may be that of a cache.
    var types: (DType?, DType?) = (nil, nil)
    /// Sizes, in the order of the name.
    var sizes: (UInt8?, UInt8?) = (nil, nil)

    init(_ stem: Stem, _ first: DType? = nil, _ second: DType? = nil, sizes: (UInt8?, UInt8?) = (nil, nil)) {
        self.stem = stem
        types = (first, second)
        self.sizes = sizes
    }

    static func == (left: Self, right: Self) -> Bool {
        left.stem == right.stem && left.types == right.types && left.sizes == right.sizes
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(stem)
        hasher.combine(types.0)
        hasher.combine(types.1)
        hasher.combine(sizes.0)
        hasher.combine(sizes.1)
    }

    /// As the device knows it.
    var text: String {
        let isCached = [.rotateAndStore, .attention, .attentionPlain].contains(stem)
        let second = types.1.map { isCached && $0.isQuantized ? "i8" : "\($0)" }
        let pieces = [stem.rawValue, types.0.map { "\($0)" }, second, sizes.0.map { "\($0)" }, sizes.1.map { "\($0)" }]
        return pieces.compactMap { $0 }.joined(separator: "_")
    }
}
