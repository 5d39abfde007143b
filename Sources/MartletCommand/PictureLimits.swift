import MartletModels
import MartletVision

/// What ranks may hold of pictures, where memory is set aside for them before the KV cache takes the rest.
struct PictureLimits: Sendable, Equatable {
    /// Tokens of all pictures whose embeddings are there.
    let cacheTokens: Int
    /// Tokens of the largest.
    let maxTokens: Int
    /// Pictures that are half encoded at once.
    let encodingCount: Int

    /// Of these, where nobody asks for longer sequences: five screenshots' worth.
    static let usualCacheTokens = 16384

    /// `askedLength`: of the longest sequence that anybody asks for, nil = whatever there is room for; `modelLength`:
    /// that the model can take.
    init(_ images: ImageProcessor, askedLength: Int?, modelLength: Int, size: ParallelSize) {
        cacheTokens = max(min(askedLength ?? 0, modelLength), Self.usualCacheTokens)
        maxTokens = min(cacheTokens, images.maxTokenCount ?? cacheTokens)
        encodingCount = size.encodingCount
    }

    /// What a rank's share of the tower takes for them, in bytes. `operandBytes`: of an element that products read.
    func bytes(_ tower: TowerShard, operandBytes: Int) -> Int {
        let merge = tower.vision.mergeSize * tower.vision.mergeSize
        let encoding = RankFootprint.encodingBytes(tower, patches: maxTokens * merge, operandBytes: operandBytes)
        return cacheTokens * tower.vision.outputSize * MemoryLayout<Float>.stride + encodingCount * encoding
    }
}

extension ParallelSize {
    /// One after the other, or one for each rank that has a tower of its own.
    var encodingCount: Int { towerMode == .data ? tensor : 1 }
}
