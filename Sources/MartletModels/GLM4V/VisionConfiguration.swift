/// GLM-4.1V's vision tower and merger, every number read from its files (MODEL.md 2).
package struct VisionConfiguration: Sendable, Equatable {
    package var depth: Int
    package var hiddenSize: Int
    package var headCount: Int
    /// Inner size of each block's MLP (`out_hidden_size` of the config).
    package var blockIntermediateSize: Int
    /// Width of the embeddings handed to the decoder.
    package var outputSize: Int
    /// Inner size of the merger (`intermediate_size` of the config).
    package var mergerIntermediateSize: Int
    package var patchSize: Int
    package var temporalPatchSize: Int
    package var mergeSize: Int
    /// The learned table is `positionSide` x `positionSide`.
    package var positionSide: Int
    package var normEpsilon: Float
    package var hasAttentionBias: Bool

    package init(
        depth: Int, hiddenSize: Int, headCount: Int, blockIntermediateSize: Int, outputSize: Int,
        mergerIntermediateSize: Int, patchSize: Int, temporalPatchSize: Int, mergeSize: Int, positionSide: Int,
        normEpsilon: Float, hasAttentionBias: Bool
    ) {
        self.depth = depth
        self.hiddenSize = hiddenSize
        self.headCount = headCount
        self.blockIntermediateSize = blockIntermediateSize
        self.outputSize = outputSize
        self.mergerIntermediateSize = mergerIntermediateSize
        self.patchSize = patchSize
        self.temporalPatchSize = temporalPatchSize
        self.mergeSize = mergeSize
        self.positionSide = positionSide
        self.normEpsilon = normEpsilon
        self.hasAttentionBias = hasAttentionBias
    }

    package var headDimension: Int { hiddenSize / headCount }
    package var patchWidth: Int { 3 * temporalPatchSize * patchSize * patchSize }
}
