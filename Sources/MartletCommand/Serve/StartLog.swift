import Foundation
import Logging
import MartletCore
import MartletEngine
import MartletModels
import MartletServer
import MartletTensor
import MartletText
import MartletVision

/// The lines of a start, in vLLM's words where people look for them (API.md 2.3).
struct StartLog {
    private let settings: ServeSettings
    private let logger: Logger
    private var progress: LoadProgress
    private let start = ContinuousClock.now
    private var loadStart = ContinuousClock.now
    private var initialStart = ContinuousClock.now
    private var modelLength = 0

    init(settings: ServeSettings, logger: Logger) {
        self.settings = settings
        self.logger = logger
        progress = LoadProgress { text in logger.info("\(text)") }
    }

    func begin(version: String) {
        logger.info("Martlet \(version), API of vLLM's server")
        logger.info("non-default args: \(settings.nonDefaultArguments)")
        for remark in settings.remarks { logger.warning("\(remark)") }
    }

    mutating func show(_ event: ModelAssembly.Event) {
        switch event {
        case .opened(let files): opened(files)
        case .loaded(let bytes, let total): progress.show(bytes, of: total)
        case .sized(let limits, let cacheBytes): sized(limits, cacheBytes)
        case .warm:
            let seconds = (ContinuousClock.now - initialStart).seconds
            logger.info("init engine (profile, create kv cache, warmup model) took \(Self.fixed(seconds, 2)) s")
        }
    }

    mutating private func opened(_ files: ModelFiles) {
        let configuration = files.configuration
        logger.info("Resolved architecture: \(configuration.architecture.rawValue)")
        modelLength = configuration.decoder.maxPositions
        if let asked = settings.model.maxModelLength {
            if asked > modelLength {
                logger.warning("--max-model-len \(asked) is beyond the model's own \(modelLength), which is used.")
            }
            logger.info("Using max model len \(min(asked, modelLength))")
        }
        if settings.engine.enableChunkedPrefill {
            logger.info("Chunked prefill is enabled with max_num_batched_tokens=\(settings.model.maxBatchedTokens).")
        }
        if let speculation = settings.engine.speculation {
            logger.info(
                "Speculative decoding is enabled with method=ngram, num_speculative_tokens=\(speculation.tokenCount).")
        }
        logger.info("Starting to load model \(files.location)...")
        loadStart = .now
    }

    mutating private func sized(_ limits: RunnerLimits, _ cacheBytes: Int) {
        progress.finish()
        let seconds = (ContinuousClock.now - loadStart).seconds
        logger.info("Loading weights took \(Self.fixed(seconds, 2)) seconds")
        if settings.model.maxModelLength == nil {
            let why =
                limits.maxModelLength < modelLength ? " (what the KV cache holds; the model allows \(modelLength))" : ""
            logger.info("Using max model len \(limits.maxModelLength)\(why)")
        }
        let tokens = limits.blockCount * limits.blockSize
        let concurrency = Double(tokens) / Double(max(1, limits.maxModelLength))
        logger.info("Available KV cache memory: \(LoadProgress.gibibytes(cacheBytes)) GiB")
        logger.info(
            """
            \(Self.unit(settings.model.device)) KV cache size: \(Self.grouped(tokens)) tokens, Maximum concurrency for \
            \(Self.grouped(limits.maxModelLength)) tokens per request: \(Self.fixed(concurrency, 2))x
            """)
        initialStart = .now
    }

    /// After loading: what serves, on what, under which names.
    func loaded(_ assembly: ModelAssembly, overridden: JSONObject) {
        let seconds = (ContinuousClock.now - start).seconds
        let bytes = LoadProgress.gibibytes(assembly.footprint.weightBytes)
        logger.info("Model loading took \(bytes) GiB memory and \(Self.fixed(seconds, 6)) seconds")
        if assembly.images != nil {
            logger.info(
                "Encoder cache will be initialized with a budget of \(assembly.limits.encoderCacheTokens) tokens")
        }
        let threads = assembly.threadCount
        let plural = threads == 1 ? "" : "s"
        let device = settings.model.device
        let ranks = Self.ranks(assembly.parallel, on: device)
        logger.info("Model loaded on \(ranks)\(device == .cpu ? " (\(threads) thread\(plural))" : "")")
        if let means = assembly.rankExchange { logger.info("Ranks exchange through \(means)") }
        let engines = assembly.parallel.data
        if engines > 1 {
            let tokens = assembly.limits.blockCount * assembly.limits.blockSize
            let manner =
                !assembly.isOneProcess
                ? "have ranks of their own" : device == .cpu ? "share the weights" : "have weights of their own"
            logger.info("\(engines) engines \(manner), each with \(Self.grouped(tokens)) tokens of KV cache")
        }
        if overridden.count > 0 {
            var writer = JSONWriter()
            writer.value(.object(overridden))
            let source =
                settings.generationOverrides.count == 0
                ? "the model's generation_config.json" : "generation_config.json and --override-generation-config"
            logger.warning("Default vLLM sampling parameters have been overridden by \(source): \(writer.text)")
        }
        if assembly.renderer == nil {
            logger.warning("The model has no chat template: /v1/completions works, chat needs --chat-template.")
        }
        let own = assembly.files.name
        let aliases = settings.names.filter { $0 != own && $0 != settings.model.model }
        if !aliases.isEmpty {
            let names = aliases.map { "'\($0)'" }.joined(separator: ", ")
            logger.info(
                """
                \(names) \(aliases.count == 1 ? "is a name" : "are names") given with --served-model-name. The model \
                that answers is \(own) (\(assembly.files.configuration.architecture.rawValue), \
                \(Self.parameters(assembly.footprint.parameterCount)) parameters).
                """)
        }
        logger.info("Serving model '\(settings.names.first ?? own)'...")
    }

    /// `1 CPU rank`; `2 CPU ranks with tensor parallelism`; with the sizes where there are both kinds.
    static func ranks(_ size: ParallelSize, on device: ComputeDevice = .cpu) -> String {
        let unit = unit(device)
        let kinds = [("tensor", size.tensor), ("pipeline", size.pipeline), ("data", size.data)].filter { $0.1 > 1 }
        guard !kinds.isEmpty else { return "1 \(unit) rank" }
        let manner = kinds.map { "\($0.0) parallelism" + (kinds.count > 1 ? " (\($0.1))" : "") }
        return "\(size.rankCount) \(unit) ranks with \(manner.joined(separator: " and "))"
    }

    private static func unit(_ device: ComputeDevice) -> String { device == .cpu ? "CPU" : "GPU" }

    static func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

    /// 302945 -> `302,945`
    static func grouped(_ value: Int) -> String {
        var text = "\(value.magnitude)"
        var index = text.endIndex
        while text.distance(from: text.startIndex, to: index) > 3 {
            index = text.index(index, offsetBy: -3)
            text.insert(",", at: index)
        }
        return value < 0 ? "-" + text : text
    }

    static func parameters(_ count: Int) -> String {
        count >= 1_000_000_000 ? fixed(Double(count) / 1e9, 1) + " billion" : fixed(Double(count) / 1e6, 1) + " million"
    }
}
