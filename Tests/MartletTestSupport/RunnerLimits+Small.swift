import MartletEngine

extension RunnerLimits {
    /// A machine small enough to run out of things.
    package static func small(
        blockSize: Int = 4, blockCount: Int = 256, slotCount: Int = 64, maxModelLength: Int = 512,
        vocabularyCount: Int = 1000, depth: Int = 1, stageCount: Int = 1, encoderCacheTokens: Int = 256
    ) -> RunnerLimits {
        RunnerLimits(
            blockSize: blockSize, blockCount: blockCount, slotCount: slotCount, maxModelLength: maxModelLength,
            vocabularyCount: vocabularyCount, depth: depth, stageCount: stageCount,
            encoderCacheTokens: encoderCacheTokens)
    }
}
