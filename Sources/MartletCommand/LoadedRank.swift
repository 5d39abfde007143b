import MartletCPU
import MartletEngine
import MartletModels
import MartletParallel
import MartletTensor

/// One rank's part of a model in memory, on its way to a runner.
struct LoadedRank {
    let backend: CPUBackend
    private let decoder: TextDecoder<CPUBackend>
    private let tower: VisionTower<CPUBackend>?
    private let vision: VisionConfiguration?
    private let link: StageLink

    /// Where a rank stands: what it holds, and what it computes on.
    struct Place: Sendable {
        let shard: Shard
        /// nil = as many as the machine has.
        let threads: Int?
        /// Where these stay; empty = anywhere.
        let processors: [Int]
    }

    /// Takes the weights from `weights`, where the first copy's rank reads them. `communicator`: of all ranks of the
    /// copy. `loaded`: bytes of the files, as they become weights. Throws `WeightError`, `MemoryError`.
    init(
        _ files: ModelFiles, options: ModelOptions, place: Place, communicator: any Communicator,
        weights: SharedWeights, loaded: @escaping (Int) -> Void
    ) throws {
        backend = try CPUBackend(
            threads: place.threads, activations: options.activations, copiesPanels: options.copiesPanels,
            processors: place.processors, communicator: communicator.subgroup(Array(place.shard.stageRanks)))
        link = StageLink(place.shard, communicator: communicator)
        let backend = backend
        let loader = WeightLoader(
            backend: backend, source: files.weights, dtype: options.dtype, quantization: options.quantization,
            shard: place.shard, loaded: loaded)
        let configuration = files.configuration
        let part = try weights.part(of: place.shard) {
            SharedWeights.Part(
                decoder: try DecoderWeights(loader, configuration.decoder),
                vision: try place.shard.tower.map { try VisionWeights(loader, $0.vision) })
        }
        decoder = try TextDecoder(
            backend: backend, configuration: configuration.decoder, weights: part.decoder,
            maxRows: EngineConfiguration.stepRows(
                maxBatchedTokens: options.maxBatchedTokens, slots: options.maxRunningSequences))
        vision = configuration.vision
        tower = try part.vision.flatMap { weights in
            try place.shard.tower.map {
                try VisionTower(backend: backend, configuration: $0.vision, weights: weights)
            }
        }
    }

    /// Throws `MemoryError` where the KV cache finds no room.
    func runner(
        limits: RunnerLimits, cacheType: DType, footprint: ModelFootprint, progress: StepProgress
    ) throws -> DecoderRunner<CPUBackend> {
        try DecoderRunner(
            backend: backend, decoder: decoder, tower: tower, vision: vision, limits: limits, cacheType: cacheType,
            workload: RunnerWorkload(footprint, visionStripRows: VisionTower<CPUBackend>.stripRows), link: link,
            progress: progress)
    }
}
