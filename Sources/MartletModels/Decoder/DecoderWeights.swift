import MartletTensor

/// One decoder layer (MODEL.md 1.3). The only place that knows the layers' tensor names.
package struct DecoderLayer<B: Backend> {
    package let inputNorm: B.Vector
    /// [(query + 2 key/value heads) * dimension, hidden]
    package let queryKeyValue: B.Matrix
    package let queryKeyValueBias: B.Vector?
    /// [hidden, query heads * dimension]
    package let output: B.Matrix
    /// On the attention branch, before its residual addition; GLM only.
    package let postAttentionNorm: B.Vector?
    /// Before the MLP. Checkpoints call it `post_attention_layernorm`.
    package let feedForwardNorm: B.Vector
    /// [2 * intermediate, hidden]: gate rows, then up rows.
    package let gateUp: B.Matrix
    /// [hidden, intermediate]
    package let down: B.Matrix
    /// On the MLP branch, before its residual addition; GLM only.
    package let postFeedForwardNorm: B.Vector?

    init(_ loader: WeightLoader<B>, _ configuration: DecoderConfiguration, index: Int) throws {
        let prefix = "model.language_model.layers.\(index)."
        let attention = prefix + "self_attn."
        inputNorm = try loader.vector(prefix + "input_layernorm.weight")
        queryKeyValue = try loader.matrix(
            attention + "q_proj.weight", attention + "k_proj.weight", attention + "v_proj.weight")
        queryKeyValueBias = configuration.hasAttentionBias
            ? try loader.vector(attention + "q_proj.bias", attention + "k_proj.bias", attention + "v_proj.bias") : nil
        output = try loader.matrix(attention + "o_proj.weight")
        feedForwardNorm = try loader.vector(prefix + "post_attention_layernorm.weight")
        gateUp = loader.has(prefix + "mlp.gate_up_proj.weight")
            ? try loader.matrix(prefix + "mlp.gate_up_proj.weight")
            : try loader.matrix(prefix + "mlp.gate_proj.weight", prefix + "mlp.up_proj.weight")
        down = try loader.matrix(prefix + "mlp.down_proj.weight")
        let sandwich = configuration.hasSandwichNorms
        postAttentionNorm = sandwich ? try loader.vector(prefix + "post_self_attn_layernorm.weight") : nil
        postFeedForwardNorm = sandwich ? try loader.vector(prefix + "post_mlp_layernorm.weight") : nil
    }
}

/// Everything the text decoder multiplies with on this rank.
package struct DecoderWeights<B: Backend> {
    /// What of the model this is.
    package let shard: Shard
    /// [vocabulary, hidden]; nil behind the first stage. A tied head is the same object (D8).
    package let embedding: B.Matrix?
    /// Of this stage.
    package let layers: [DecoderLayer<B>]
    /// nil before the last stage.
    package let output: DecoderOutput<B>?

    /// The matrices that every decode step multiplies with, in order.
    package var multiplied: [B.Matrix] {
        layers.flatMap { [$0.queryKeyValue, $0.output, $0.gateUp, $0.down] } + (output.map { [$0.head] } ?? [])
    }

    package init(_ loader: WeightLoader<B>, _ configuration: DecoderConfiguration) throws {
        let shard = loader.shard ?? Shard(whole: configuration)
        self.shard = shard
        embedding = shard.isFirstStage ? try loader.matrix(TensorName.embedding) : nil
        layers = try shard.layers.map { try DecoderLayer(loader, configuration, index: $0) }
        output = shard.isLastStage ? try DecoderOutput(loader, configuration, embedding: embedding) : nil
    }
}

/// What makes logits of the residual stream, on the last stage.
package struct DecoderOutput<B: Backend> {
    package let norm: B.Vector
    /// [vocabulary, hidden]
    package let head: B.Matrix

    /// `embedding`: the one that this rank has already.
    init(_ loader: WeightLoader<B>, _ configuration: DecoderConfiguration, embedding: B.Matrix?) throws {
        norm = try loader.vector("model.language_model.norm.weight")
        let isTied = configuration.hasTiedHead
        if isTied, let embedding {
            head = embedding
        } else {
            head = try loader.matrix(isTied ? TensorName.embedding : TensorName.head)
        }
    }
}
