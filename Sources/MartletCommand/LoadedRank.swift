import MartletEngine
import MartletModels
import MartletParallel
import MartletTensor

/// One rank's part of a model in memory, on its way to a runner.
struct LoadedRank<Machine: Hardware> {
    typealias B = Machine.RankBackend

    let backend: B
    let weights: DecoderWeights<B>
    /// How it exchanges with others, in words.
    let exchange: String?
    private let decoder: TextDecoder<B>
    private let tower: VisionTower<B>?
    private let vision: VisionConfiguration?
    private let link: StageLink

    /// Takes the weights from `weights`, where the first copy's rank reads them. `communicator`: of all ranks of the
    /// copy. `loaded`: bytes of the files, as they become weights. Throws `WeightError`, `MemoryError`.
    init(
        _ files: ModelFiles, options: ModelOptions, on machine: Machine, place: RankPlace,
        communicator: any Communicator, weights: SharedWeights<B>, loaded: @escaping (Int) -> Void
    ) throws {
        backend = try machine.backend(
            at: place, communicator: communicator.subgroup(Array(place.shard.stageRanks)))
        // Before memory is counted, of which that takes some.
        exchange = try machine.exchange(of: backend)
        link = StageLink(place.shard, communicator: communicator)
        let backend = backend, towerBackend = machine.towerBackend(beside: backend)
        let loader = { (backend: B) in
            WeightLoader(
                backend: backend, source: files.weights, dtype: options.dtype, quantization: options.quantization,
                shard: place.shard, loaded: loaded)
        }
        let configuration = files.configuration
        let load = {
            SharedWeights<B>.Part(
                decoder: try DecoderWeights(loader(backend), configuration.decoder),
                vision: try place.shard.tower.map { try VisionWeights(loader(towerBackend), $0.vision) })
        }
        let part = machine.sharesWeights ? try weights.part(of: place.shard, load: load) : try load()
        self.weights = part.decoder
        decoder = try TextDecoder(
            backend: backend, configuration: configuration.decoder, weights: part.decoder,
            maxRows: EngineConfiguration.stepRows(
                maxBatchedTokens: options.maxBatchedTokens, slots: options.maxRunningSequences))
        vision = configuration.vision
        tower = try part.vision.flatMap { weights in
            try place.shard.tower.map {
                try VisionTower(backend: towerBackend, configuration: $0.vision, weights: weights)
            }
        }
    }

    /// Throws `MemoryError` where the KV cache finds no room.
    func runner(
        limits: RunnerLimits, cacheType: DType, footprint: ModelFootprint, progress: StepProgress
    ) throws -> DecoderRunner<B> {
        try DecoderRunner(
            backend: backend, decoder: decoder, tower: tower, vision: vision, limits: limits, cacheType: cacheType,
            workload: RunnerWorkload(footprint, visionStripRows: VisionTower<B>.stripRows), link: link,
            progress: progress)
    }
}
