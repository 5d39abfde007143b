import MartletTensor

/// The text decoder of one model, every number read from its files. Three architectures share the graph and
/// differ in these fields (MODEL.md 1).
package struct DecoderConfiguration: Sendable, Equatable {
    package var layerCount: Int
    package var hiddenSize: Int
    package var intermediateSize: Int
    package var heads: AttentionHeads
    /// Rows of embedding and head; the tokenizer may have fewer.
    package var vocabularyRows: Int
    package var maxPositions: Int
    package var normEpsilon: Float
    package var rotary: RotaryConfiguration
    /// q, k and v have a bias (o never has).
    package var hasAttentionBias: Bool
    /// Norms on the branches before each residual addition: GLM's `post_self_attn_layernorm`, `post_mlp_layernorm`.
    package var hasSandwichNorms: Bool
    /// No `lm_head`: the embedding serves.
    package var hasTiedHead: Bool

    package init(
        layerCount: Int, hiddenSize: Int, intermediateSize: Int, heads: AttentionHeads, vocabularyRows: Int,
        maxPositions: Int, normEpsilon: Float, rotary: RotaryConfiguration, hasAttentionBias: Bool,
        hasSandwichNorms: Bool, hasTiedHead: Bool
    ) {
        self.layerCount = layerCount
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.heads = heads
        self.vocabularyRows = vocabularyRows
        self.maxPositions = maxPositions
        self.normEpsilon = normEpsilon
        self.rotary = rotary
        self.hasAttentionBias = hasAttentionBias
        self.hasSandwichNorms = hasSandwichNorms
        self.hasTiedHead = hasTiedHead
    }
}
