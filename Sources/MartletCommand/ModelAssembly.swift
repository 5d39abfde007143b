import MartletCPU
import MartletCore
import MartletEngine
import MartletModels
import MartletTensor
import MartletText
import MartletVision

/// Everything a model's files become: warm runners for the engines, and the text and image side for the server.
struct ModelAssembly {
    let files: ModelFiles
    let tokenizer: Tokenizer
    let renderer: ChatRenderer?
    let images: ImageProcessor?
    let limits: RunnerLimits
    let endTokens: [TokenID]
    let footprint: ModelFootprint
    let cacheType: DType
    let parallel: ParallelSize
    /// All ranks are threads of this process.
    let isOneProcess: Bool
    /// Of all ranks.
    let threadCount: Int
    /// As the warm-up found it.
    let cost: CostModel
    /// When the stages of a pipeline are busy; of the first copy.
    let trace: PipelineTrace?
    /// How ranks that share layers exchange, in words; nil where there is nothing to say.
    let rankExchange: String?
    /// Of what a decode step multiplies with; nil where several ranks or a GPU do.
    let reading: MemoryReading?

    /// Says what is being done, for logs and the progress bar.
    enum Event: Sendable {
        case opened(ModelFiles)
        case loaded(bytes: Int, of: Int)
        case sized(RunnerLimits, cacheBytes: Int)
        case warm(seconds: Double)
    }

    /// Loads the model: a runner for each copy; `process`: as rank 0 of several processes. Throws `ModelError`,
    /// `ParallelError`, `WeightError`, `CommunicatorError`, `TokenizerError`, `TemplateError`, `ImageError` or
    /// `AssemblyError`; all name the file or the flag.
    static func load(
        _ options: ModelOptions, environment: [String: String], process: RankProcess? = nil,
        report: @escaping @Sendable (Event) -> Void
    ) throws -> sending (ModelAssembly, [GroupRunner]) {
        let files = try ModelFiles.open(options.model, loadFormat: options.loadFormat, environment: environment)
        report(.opened(files))
        switch options.device {
        case .cpu:
            return try load(
                files, options, on: CPUHardware(options: options), environment: environment, process: process,
                report: report)
        case .cuda:
            let machine = try CUDAHardware(options, files.configuration, environment: environment)
            return try load(
                files, options, on: machine, environment: environment, process: process, report: report)
        }
    }

    /// The same of files that are open, on hardware that is found.
    static func load(
        _ files: ModelFiles, _ options: ModelOptions, on machine: some Hardware, environment: [String: String],
        process: RankProcess?, report: @escaping @Sendable (Event) -> Void
    ) throws -> sending (ModelAssembly, [GroupRunner]) {
        let text = try ModelText(files, options: options, environment: environment)
        let ranks = try RankAssembly(files, options: options, on: machine, process: process)
        try ranks.checkWeights()

        let cacheBytesPerToken = ranks.layout.cacheBytesPerToken(ranks.cacheType)
        let copies = try ranks.load { report(.loaded(bytes: $0, of: $1)) } sized: { depth in
            let found = try CachePlan(
                options: options, cacheBytesPerToken: cacheBytesPerToken,
                modelLength: files.configuration.decoder.maxPositions, budget: try ranks.cacheBytes(),
                pictures: ranks.pictures, depth: depth
            ).limits(
                vocabularyCount: min(files.configuration.decoder.vocabularyRows, text.tokenizer.vocabularyCount))
            report(.sized(found, cacheBytes: found.blockCount * found.blockSize * cacheBytesPerToken))
            return found
        }
        let runners = copies.map(\.runner)
        let start = ContinuousClock.now
        for runner in runners { try runner.warmUp(like: runners[0]) { (ContinuousClock.now - start).seconds } }
        report(.warm(seconds: (ContinuousClock.now - start).seconds))
        let assembly = ModelAssembly(
            files: files, tokenizer: text.tokenizer, renderer: text.renderer, images: ranks.images,
            limits: runners[0].limits,
            endTokens: text.endTokens, footprint: ranks.footprint, cacheType: ranks.cacheType,
            parallel: options.parallel, isOneProcess: process == nil,
            threadCount: copies.reduce(0) { $0 + $1.threadCount }, cost: runners[0].costModel, trace: copies[0].trace,
            rankExchange: copies[0].exchange, reading: copies.count == 1 ? copies[0].reading : nil)
        return (assembly, runners)
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

/// A model that cannot run here as asked.
enum AssemblyError: Error, Equatable, CustomStringConvertible {
    /// Of the ranks that share one memory.
    case weightsExceedMemory(weights: Int, available: Int, device: ComputeDevice = .cpu, rankCount: Int = 1)
    /// In the cache of each copy. `asked`: the length, nil where nobody did and not even a block finds room.
    case cacheTooSmall(tokens: Int, asked: Int?, device: ComputeDevice = .cpu, copies: Int = 1)
    case noTokenizer(file: String)

    var description: String {
        switch self {
        case .weightsExceedMemory(let weights, let available, let device, let rankCount):
            "The weights\(rankCount > 1 ? " of \(rankCount) ranks" : "") take \(Self.gibibytes(weights)) GiB and the"
                + " \(device == .cpu ? "machine" : "GPU") has \(Self.gibibytes(available)) GiB left: out of memory. Use"
                + " --quantization int8 or int4, or a smaller file (a Q4_K_M or Q8_0 GGUF), stop other programs,"
                + "\(device != .cpu && rankCount > 1 ? " ask for fewer copies (--data-parallel-size)," : "")"
                + " or see `martlet plan` for what fits."
        case .cacheTooSmall(let tokens, let asked, let device, let copies):
            "The KV cache\(copies > 1 ? " of each of \(copies) copies" : "") holds \(tokens) tokens"
                + (asked.map { " and --max-model-len asks for \($0). Lower --max-model-len," }
                    ?? ". Use a smaller file,")
                + "\(copies > 1 ? " ask for fewer copies (--data-parallel-size)," : "") give more memory with"
                + " \(device == .cpu ? "--kv-cache-memory-bytes" : "--gpu-memory-utilization"), or see `martlet plan`"
                + " for what fits."
        case .noTokenizer(let file):
            "\(file) has no tokenizer: tokenizer.json is missing. Copy it beside config.json or name one with"
                + " --tokenizer."
        }
    }

    private static func gibibytes(_ bytes: Int) -> String {
        let tenths = (Double(bytes) / 1_073_741_824 * 10).rounded() / 10
        return "\(tenths)"
    }
}
