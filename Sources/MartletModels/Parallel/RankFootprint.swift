import MartletTensor

/// The memory of one rank, counted from what it holds.
package struct RankFootprint: Sendable, Equatable {
    /// Weights as stored.
    package let weightBytes: Int
    /// Of these, what a step without pictures reads: all but the tower and the embedding, of which it takes rows.
    package let readBytes: Int
    /// KV cache of one position over the layers of its stage.
    package let cacheBytesPerToken: Int
    /// Scratch in f32: a step's activations, the logits, and strips of the tower.
    package let stepBytes: Int
    /// One screenshot on its way through the tower in f32, and what comes out.
    package let screenshotBytes: Int

    package var workspaceBytes: Int { stepBytes + screenshotBytes }

    /// `tensors`: the model's, whole. `rows` of a step.
    package init(
        _ shard: Shard, of configuration: ModelConfiguration, tensors: [TensorInfo],
        storage: WeightStorage = WeightStorage(), cacheType: DType, rows: Int
    ) {
        let readsEmbedding = configuration.decoder.hasTiedHead && shard.isLastStage
        var weights = 0, read = 0
        for info in tensors {
            let type = storage.type(of: info)
            let bytes = shard.slices(of: info).reduce(0) { $0 + type.byteCount($1.elementCount) }
            weights += bytes
            let isLookup = info.name == TensorName.embedding && !readsEmbedding
            if !isLookup, !info.name.hasPrefix(TensorName.visionPrefix) { read += bytes }
        }
        weightBytes = weights
        readBytes = read
        cacheBytesPerToken = shard.layers.count * shard.heads.cacheBytesPerToken(cacheType)
        stepBytes = 4 * (Self.decoderFloats(shard, rows: rows) + (shard.tower.map { Self.towerFloats($0) } ?? 0))
        screenshotBytes = shard.tower.map { Self.screenshotBytes($0) } ?? 0
    }

    /// What a picture of so many patches takes on its way through the tower, without the embeddings that stay, in
    /// bytes; `operandBytes`: of an element that products read.
    package static func encodingBytes(_ tower: TowerShard, patches: Int, operandBytes: Int) -> Int {
        let vision = tower.vision, width = tower.heads.count * vision.headDimension
        let strip = min(patches, VisionConfiguration.stripRows)
        return patches * (4 * (vision.hiddenSize + vision.headDimension) + 3 * operandBytes * width)
            + strip * operandBytes * width
    }

    /// What TextDecoder allocates, with the shares of this rank; logits are whole on every rank of the last stage.
    private static func decoderFloats(_ shard: Shard, rows: Int) -> Int {
        let decoder = shard.decoder, heads = shard.heads
        let perRow = 3 * decoder.hiddenSize + decoder.rotary.dimensions + heads.fusedWidth + heads.queryWidth
        let strip = min(rows, 512) * 3 * shard.intermediate.count
        guard shard.isLastStage else { return rows * perRow + strip }
        return rows * perRow + strip + min(rows, 32) * (2 * decoder.hiddenSize + decoder.vocabularyRows)
    }

    /// What VisionTower allocates for its strips.
    private static func towerFloats(_ tower: TowerShard) -> Int {
        let vision = tower.vision
        let rows = VisionConfiguration.stripRows, merge = vision.mergeSize * vision.mergeSize
        let strip = vision.patchWidth + 2 * vision.hiddenSize + 3 * tower.inner.count
        let merged = vision.outputSize + 3 * tower.mergerInner.count
        return rows * strip + rows / merge * merged
    }

    private static func screenshotBytes(_ tower: TowerShard) -> Int {
        let vision = tower.vision, patches = ModelFootprint.screenshotPatches
        return 4 * (patches / (vision.mergeSize * vision.mergeSize) * vision.outputSize)
            + encodingBytes(tower, patches: patches, operandBytes: 4)
    }
}
