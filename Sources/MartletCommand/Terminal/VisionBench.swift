import MartletCPU
import MartletCore
import MartletModels
import MartletTensor
import MartletVision

/// A model's vision tower and merger by themselves: no decoder is loaded, and no engine runs around them.
struct VisionBench<Machine: Hardware> {
    typealias Tower = VisionTower<Machine.RankBackend>

    private let backend: Machine.RankBackend
    let tower: Tower
    private let processor: ImageProcessor
    let name: String
    let threadCount: Int

    /// Loads the tower of a model's files. Throws what `ModelAssembly.load` throws, and `UsageError` for a model that
    /// has none.
    init(_ options: ModelOptions, on machine: Machine, environment: [String: String]) throws {
        let files = try ModelFiles.open(options.model, loadFormat: options.loadFormat, environment: environment)
        guard let configuration = files.configuration.vision,
            let processor = try ModelText.imageProcessor(files, arguments: options.processorArguments)
        else { throw UsageError("\(files.name) is a text model: it has no vision tower.") }
        backend = machine.towerBackend(beside: try machine.soleBackend())
        let loader = WeightLoader(
            backend: backend, source: files.weights, dtype: options.dtype, quantization: options.quantization)
        tower = try VisionTower(
            backend: backend, configuration: configuration, weights: VisionWeights(loader, configuration))
        self.processor = processor
        name = files.name
        threadCount = machine.threadCount(of: backend)
    }

    /// A made-up picture as the model's processor hands it over. Throws `ImageError` for a size it refuses.
    func image(_ size: PictureSize) throws -> PreparedImage { try processor.prepare(size.picture()) }

    /// Encodes `image` once: what it took, and the embeddings [tokens, output]. A GPU is still at work while the host
    /// is ahead: of its phases the last waits for all. Throws `MemoryError`, `CUDAError`.
    func measure(_ image: PreparedImage) throws -> (speed: TowerSpeed, embeddings: [Float]) {
        let clock = ContinuousClock()
        let patches = image.patchRows * image.patchColumns
        var speed = TowerSpeed(width: image.width, height: image.height, patches: patches, tokens: image.tokenCount)
        let start = clock.now
        let encoding = try tower.begin(image)
        var last = clock.now
        speed.phases["begin"] = (last - start).seconds
        for unit in 0..<tower.configuration.unitCount(patches: patches) {
            try tower.run(unit: unit, of: encoding)
            let now = clock.now
            speed.phases[tower.phase(ofUnit: unit, patches: patches).rawValue, default: 0] += (now - last).seconds
            last = now
        }
        let embeddings = try backend.read(encoding.embeddings)
        let end = clock.now
        speed.phases[Tower.Phase.merge.rawValue, default: 0] += (end - last).seconds
        speed.seconds = (end - start).seconds
        return (speed, embeddings)
    }
}

/// What encoding one picture took.
struct TowerSpeed: Equatable {
    /// Of the resized picture.
    var width, height: Int
    var patches, tokens: Int
    var seconds = 0.0
    /// Seconds by the tower's phases; `begin` is memory and the table of angles.
    var phases: [String: Double] = [:]

    init(width: Int, height: Int, patches: Int, tokens: Int) {
        self.width = width
        self.height = height
        self.patches = patches
        self.tokens = tokens
    }

    static let phaseNames = ["begin"] + VisionTower<CPUBackend>.Phase.allCases.map(\.rawValue)

    /// The run with the median time of `runs`, of which there must be one at least; of an even number the faster.
    static func median(_ runs: [TowerSpeed]) -> TowerSpeed {
        runs.sorted { $0.seconds < $1.seconds }[(runs.count - 1) / 2]
    }

    var json: JSONValue {
        .object(
            JSONObject([
                ("width", .integer(Int64(width))), ("height", .integer(Int64(height))),
                ("patches", .integer(Int64(patches))), ("tokens", .integer(Int64(tokens))),
                ("seconds", .number(seconds)),
                ("phases", .object(JSONObject(Self.phaseNames.map { ($0, .number(phases[$0] ?? 0)) }))),
            ]))
    }
}
