import MartletTensor

/// One block of the vision tower (MODEL.md 2.1.4).
package struct VisionBlock<B: Backend> {
    package let attentionNorm: B.Vector
    /// [3 * hidden, hidden]: query, key, value rows.
    package let queryKeyValue: B.Matrix
    package let queryKeyValueBias: B.Vector?
    package let projection: B.Matrix
    package let feedForwardNorm: B.Vector
    /// [2 * inner, hidden]: gate rows, then up rows.
    package let gateUp: B.Matrix
    package let down: B.Matrix

    init(_ loader: WeightLoader<B>, _ configuration: VisionConfiguration, index: Int) throws {
        let prefix = "model.visual.blocks.\(index)."
        attentionNorm = try loader.vector(prefix + "norm1.weight")
        queryKeyValue = try loader.matrix(prefix + "attn.qkv.weight")
        queryKeyValueBias = configuration.hasAttentionBias ? try loader.vector(prefix + "attn.qkv.bias") : nil
        projection = try loader.matrix(prefix + "attn.proj.weight")
        feedForwardNorm = try loader.vector(prefix + "norm2.weight")
        gateUp = try loader.matrix(prefix + "mlp.gate_proj.weight", prefix + "mlp.up_proj.weight")
        down = try loader.matrix(prefix + "mlp.down_proj.weight")
    }
}

/// Everything the vision tower and the merger multiply with on this rank (MODEL.md 2.2). The only place that knows
/// their names.
package struct VisionWeights<B: Backend> {
    /// What of the tower this is.
    package let shard: TowerShard
    /// [hidden, channels * frames * patch * patch]
    package let patchEmbedding: B.Matrix
    package let patchEmbeddingBias: B.Vector
    package let embeddingNorm: B.Vector
    /// [side * side * hidden]
    package let positions: B.Vector
    package let blocks: [VisionBlock<B>]
    package let finalNorm: B.Vector
    /// [output, merge * merge * hidden], inputs ordered as the patches of a block lie.
    package let downsample: B.Matrix
    package let downsampleBias: B.Vector
    package let mergerProjection: B.Matrix
    package let mergerNorm, mergerNormBias: B.Vector
    package let mergerGateUp: B.Matrix
    package let mergerDown: B.Matrix

    package init(_ loader: WeightLoader<B>, _ configuration: VisionConfiguration) throws {
        shard = loader.shard?.tower ?? TowerShard(whole: configuration)
        let prefix = "model.visual."
        patchEmbedding = try loader.matrix(prefix + "patch_embed.proj.weight")
        patchEmbeddingBias = try loader.vector(prefix + "patch_embed.proj.bias")
        embeddingNorm = try loader.vector(prefix + "post_conv_layernorm.weight")
        positions = try loader.vector(prefix + "embeddings.position_embedding.weight")
        blocks = try (0..<configuration.depth).map { try VisionBlock(loader, configuration, index: $0) }
        finalNorm = try loader.vector(prefix + "post_layernorm.weight")
        downsample = try Self.downsample(loader, configuration)
        downsampleBias = try loader.vector(prefix + "downsample.bias")
        mergerProjection = try loader.matrix(prefix + "merger.proj.weight")
        mergerNorm = try loader.vector(prefix + "merger.post_projection_norm.weight")
        mergerNormBias = try loader.vector(prefix + "merger.post_projection_norm.bias")
        mergerGateUp = try loader.matrix(prefix + "merger.gate_proj.weight", prefix + "merger.up_proj.weight")
        mergerDown = try loader.matrix(prefix + "merger.down_proj.weight")
    }

    /// The strided convolution as a product: files order a row (input, kernel row, kernel column), the patches of a
    /// block arrive as (kernel row, kernel column, input).
    private static func downsample(_ loader: WeightLoader<B>, _ configuration: VisionConfiguration) throws -> B.Matrix {
        try loader.reading(MergedConvolution(loader.source, configuration)).matrix(TensorName.downsample)
    }
}
