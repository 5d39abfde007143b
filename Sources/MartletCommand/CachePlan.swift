import MartletEngine
import MartletModels
import MartletTensor

/// How many KV blocks there will be (D10), from what is asked and what memory is left.
struct CachePlan {
    let options: ModelOptions
    /// Of all ranks.
    let cacheBytesPerToken: Int
    /// The model's own context limit.
    let modelLength: Int
    /// What the machine has left for it, in bytes; nil = unknown.
    let budget: Int?
    /// nil: as many and as large ones as sequences have room for.
    var pictures: PictureLimits?
    /// Steps that a copy in one stage may have in flight (D3).
    var depth = 1

    /// Of one copy of the model: copies share the memory evenly. Throws when not even one sequence of the asked length
    /// fits, or no block at all.
    func limits(vocabularyCount: Int) throws(AssemblyError) -> RunnerLimits {
        let bytesPerBlock = cacheBytesPerToken * options.blockSize
        let budget = (options.cacheBytes ?? budget ?? 1 << 30) / options.parallel.data
        let asked = options.maxModelLength.map { min($0, modelLength) }
        let wanted = options.maxRunningSequences * blocks((asked ?? modelLength))
        let blockCount = min(budget / bytesPerBlock, wanted)
        let length = asked ?? min(modelLength, max(1, blockCount) * options.blockSize)
        guard blockCount >= blocks(length) else {
            throw .cacheTooSmall(
                tokens: blockCount * options.blockSize, asked: asked, device: options.device,
                copies: options.parallel.data)
        }
        return RunnerLimits(
            blockSize: options.blockSize, blockCount: blockCount, slotCount: options.maxRunningSequences,
            maxModelLength: length, vocabularyCount: vocabularyCount,
            depth: options.parallel.pipeline == 1 ? depth : options.parallel.pipeline,
            stageCount: options.parallel.pipeline,
            encoderCacheTokens: pictures?.cacheTokens ?? max(length, PictureLimits.usualCacheTokens),
            maxImageTokens: pictures?.maxTokens, encodingCount: options.parallel.encodingCount)
    }

    private func blocks(_ tokens: Int) -> Int { (tokens + options.blockSize - 1) / options.blockSize }
}

extension DType {
    /// What a KV cache of this type is called: its 8 bits have scales of their own.
    var cacheName: String { self == .q8_0 ? "INT8" : rawValue }

    /// What `--kv-cache-dtype` may ask for. 8 bits are integers with scales, whatever they are called.
    static let cacheTypes: [String: DType] = [
        "f16": .f16, "half": .f16, "float16": .f16, "bf16": .bf16, "bfloat16": .bf16, "f32": .f32, "float32": .f32,
        "fp8": .q8_0, "fp8_e4m3": .q8_0, "fp8_e5m2": .q8_0, "int8": .q8_0,
    ]
}
