import MartletTensor

/// What one rank holds of a model: the layers of its stage, and of these its heads and its share of the MLP; on the
/// first stage its rows of the embedding and its part of the vision tower, on the last its rows of the head.
package struct Shard: Sendable, Equatable {
    /// Its place among the ranks that share the layers.
    package let tensorRank: Int
    /// How many those are.
    package let tensorSize: Int
    package let stage: Int
    package let layers: Range<Int>
    package let isFirstStage: Bool
    package let isLastStage: Bool
    package let queryHeads: Range<Int>
    package let keyValueHeads: Range<Int>
    /// Rows of gate, the same of up, and columns of down.
    package let intermediate: Range<Int>
    /// Rows of embedding and head.
    package let vocabulary: Range<Int>
    /// nil without a vision tower and behind the first stage.
    package let tower: TowerShard?
    let decoder: DecoderConfiguration

    init(
        tensorRank: Int, tensorSize: Int, stage: Int, layers: Range<Int>, isFirstStage: Bool, isLastStage: Bool,
        queryHeads: Range<Int>, keyValueHeads: Range<Int>, intermediate: Range<Int>, vocabulary: Range<Int>,
        tower: TowerShard?, decoder: DecoderConfiguration
    ) {
        self.tensorRank = tensorRank
        self.tensorSize = tensorSize
        self.stage = stage
        self.layers = layers
        self.isFirstStage = isFirstStage
        self.isLastStage = isLastStage
        self.queryHeads = queryHeads
        self.keyValueHeads = keyValueHeads
        self.intermediate = intermediate
        self.vocabulary = vocabulary
        self.tower = tower
        self.decoder = decoder
    }

    /// All of a model, held by the one rank there is.
    package init(whole decoder: DecoderConfiguration, vision: VisionConfiguration? = nil) {
        self.init(
            tensorRank: 0, tensorSize: 1, stage: 0, layers: 0..<decoder.layerCount, isFirstStage: true,
            isLastStage: true, queryHeads: 0..<decoder.heads.queryCount,
            keyValueHeads: 0..<decoder.heads.keyValueCount, intermediate: 0..<decoder.intermediateSize,
            vocabulary: 0..<decoder.vocabularyRows, tower: vision.map { TowerShard(whole: $0) }, decoder: decoder)
    }

    /// Its number in a copy of the model: tensor ranks run fastest, then stages.
    package var rank: Int { stage * tensorSize + tensorRank }

    /// The ranks that share its layers, itself among them.
    package var stageRanks: Range<Int> { stage * tensorSize..<(stage + 1) * tensorSize }

    /// The attention that this rank computes.
    package var heads: AttentionHeads {
        AttentionHeads(
            queryCount: queryHeads.count, keyValueCount: keyValueHeads.count, dimension: decoder.heads.dimension)
    }

    /// The pieces of a tensor that this rank holds, in their order; none if it needs nothing of it. Names are the
    /// canonical ones (MODEL.md 1.6, 2.2); norms, biases of whole rows and what is small are whole on every rank.
    package func slices(of info: TensorInfo) -> [MatrixSlice] {
        let whole = MatrixSlice(info)
        if info.name.hasPrefix(TensorName.visionPrefix) { return tower?.slices(of: whole) ?? [] }
        if info.name == TensorName.embedding {
            return isFirstStage || isLastStage && decoder.hasTiedHead ? whole.rows(vocabulary) : []
        }
        if info.name == TensorName.head { return isLastStage ? whole.rows(vocabulary) : [] }
        guard let (layer, part) = Self.layer(of: info.name) else { return isLastStage ? [whole] : [] }
        return layers.contains(layer) ? slices(ofPart: part, whole) : []
    }

    /// `model.language_model.layers.7.mlp.up_proj.weight`: 7 and `mlp.up_proj.weight`.
    private static func layer(of name: String) -> (Int, Substring)? {
        let prefix = TensorName.textPrefix + "layers."
        guard name.hasPrefix(prefix) else { return nil }
        let pieces = name.dropFirst(prefix.count).split(separator: ".", maxSplits: 1)
        guard pieces.count == 2, let layer = Int(pieces[0]) else { return nil }
        return (layer, pieces[1])
    }

    private func slices(ofPart part: Substring, _ whole: MatrixSlice) -> [MatrixSlice] {
        guard tensorSize > 1 else { return [whole] }
        let dimension = decoder.heads.dimension
        switch part {
        case "self_attn.q_proj.weight", "self_attn.q_proj.bias": return whole.rows(queryHeads.scaled(by: dimension))
        case "self_attn.k_proj.weight", "self_attn.k_proj.bias", "self_attn.v_proj.weight", "self_attn.v_proj.bias":
            return whole.rows(keyValueHeads.scaled(by: dimension))
        case "self_attn.o_proj.weight": return whole.columns(queryHeads.scaled(by: dimension))
        case "mlp.gate_up_proj.weight":
            return whole.rows(intermediate, intermediate.shifted(by: decoder.intermediateSize))
        case "mlp.gate_proj.weight", "mlp.up_proj.weight": return whole.rows(intermediate)
        case "mlp.down_proj.weight": return whole.columns(intermediate)
        default: return [whole]
        }
    }
}

/// A rank's part of the vision tower. The patch embedding, the downsampling and the merger's first projection are
/// whole: a norm follows each of them, or the next of them, which needs every output.
package struct TowerShard: Sendable, Equatable {
    package let heads: Range<Int>
    /// Rows of each block's gate and up, and columns of its down.
    package let inner: Range<Int>
    /// The same of the merger.
    package let mergerInner: Range<Int>
    package let vision: VisionConfiguration

    init(heads: Range<Int>, inner: Range<Int>, mergerInner: Range<Int>, vision: VisionConfiguration) {
        self.heads = heads
        self.inner = inner
        self.mergerInner = mergerInner
        self.vision = vision
    }

    /// All of a tower.
    package init(whole vision: VisionConfiguration) {
        self.init(
            heads: 0..<vision.headCount, inner: 0..<vision.blockIntermediateSize,
            mergerInner: 0..<vision.mergerIntermediateSize, vision: vision)
    }

    /// Whether sums over heads and inner columns are whole on this rank.
    package var isWhole: Bool { heads.count == vision.headCount }

    fileprivate func slices(of whole: MatrixSlice) -> [MatrixSlice] {
        guard !isWhole else { return [whole] }
        let name = whole.name
        let features = heads.scaled(by: vision.headDimension)
        if name.hasSuffix("attn.qkv.weight") || name.hasSuffix("attn.qkv.bias") {
            return whole.rows(
                features, features.shifted(by: vision.hiddenSize), features.shifted(by: 2 * vision.hiddenSize))
        }
        if name.hasSuffix("attn.proj.weight") { return whole.columns(features) }
        let isMerger = name.hasPrefix(TensorName.visionPrefix + "merger.")
        guard isMerger || name.hasPrefix(TensorName.visionPrefix + "blocks.") else { return [whole] }
        let share = isMerger ? mergerInner : inner
        if name.hasSuffix("gate_proj.weight") || name.hasSuffix("up_proj.weight") { return whole.rows(share) }
        return name.hasSuffix("down_proj.weight") ? whole.columns(share) : [whole]
    }
}

extension MatrixSlice {
    fileprivate func rows(_ ranges: Range<Int>...) -> [MatrixSlice] {
        ranges.map { MatrixSlice(name: name, rows: $0, columns: columns, dtype: dtype) }
    }

    fileprivate func columns(_ range: Range<Int>) -> [MatrixSlice] {
        [MatrixSlice(name: name, rows: rows, columns: range, dtype: dtype)]
    }

    package var elementCount: Int { rows.count * columns.count }
}

extension Range<Int> {
    fileprivate func scaled(by factor: Int) -> Range { (lowerBound * factor)..<(upperBound * factor) }
    fileprivate func shifted(by offset: Int) -> Range { (lowerBound + offset)..<(upperBound + offset) }
}
