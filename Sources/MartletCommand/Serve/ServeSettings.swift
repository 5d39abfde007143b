import Foundation
import Logging
import MartletCore
import MartletEngine
import MartletModels
import MartletServer
import MartletText
import MartletVision

/// What a command line and the environment ask of `martlet serve`.
struct ServeSettings {
    var model = ModelOptions()
    var engine = EngineConfiguration()
    var server = ServerConfiguration()
    /// Names that requests may use; empty = the model as given.
    var names: [String] = []
    /// `auto`, `vllm` or a directory.
    var generationConfig = "auto"
    var generationOverrides = JSONObject()
    var reasoning = ReasoningMode.inContent
    var seed: UInt64 = 0
    /// Silence of a busy engine after which the process ends; nil = never.
    var watchdogSeconds: Double? = 90
    /// Engines of this host, where that was asked.
    var localEngineCount: Int?
    /// What ranks are; nil = processes if a launcher started several, else threads.
    var executor: Executor?
    /// Where rank 0 listens for ranks of other hosts.
    var rankLinkHost: String?
    var instructionSet: String?
    var deviceChoice = ComputeDevice.Choice.auto
    var logLevel = Logger.Level.info
    var accessLevel = Logger.Level.info
    var logPrefix = ""
    var logsRequests = false
    /// Prompt tokens that a request's line shows.
    var loggedTokens = 32
    /// Warnings for the log: flags that have no effect here, and the like.
    var remarks: [String] = []
    var given: [FlagReader.Given] = []

    enum Executor: Sendable { case threads, mpi }

    /// Environment variables first, so that flags win (API.md 2.2). Throws naming the variable.
    mutating func adopt(_ environment: [String: String]) throws(UsageError) {
        func set(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        func number(_ name: String, _ range: ClosedRange<Double>) throws(UsageError) -> Double? {
            guard let text = set(name) else { return nil }
            guard let value = Double(text), range.contains(value) else {
                throw UsageError(
                    "\(name): '\(text)' is not a number between \(range.lowerBound) and \(range.upperBound).")
            }
            return value
        }
        if let key = set("VLLM_API_KEY") { server.apiKeys = [key] }
        if let seconds = try number("VLLM_LOG_STATS_INTERVAL", 0...86400) {
            server.statisticsSeconds = seconds == 0 ? nil : seconds
        }
        if let gibibytes = try number("VLLM_CPU_KVCACHE_SPACE", 0...1e6), gibibytes > 0 {
            model.cacheBytes = Int(gibibytes * 1_073_741_824)
        }
        if let pixels = try number("VLLM_MAX_IMAGE_PIXELS", 1...4e9) { server.imageLimits.pixels = Int(pixels) }
        if let bytes = try number("VLLM_HTTP_MAX_REQUEST_BODY_SIZE", 1...1e12) { server.limits.bodyBytes = Int(bytes) }
        if let seconds = try number("VLLM_HTTP_TIMEOUT_KEEP_ALIVE", 1...86400) {
            server.limits.idleSeconds = Int(seconds)
        }
        if let width = try number("VLLM_MEDIA_LOADING_THREAD_COUNT", 1...1024) {
            server.limits.concurrentDecodes = Int(width)
        }
        if let seconds = try number("VLLM_IMAGE_FETCH_TIMEOUT", 0.001...600) { server.fetchSeconds = seconds }
        if let follows = try number("VLLM_MEDIA_URL_ALLOW_REDIRECTS", 0...1), follows == 0 { server.fetchRedirects = 0 }
        if let level = set("VLLM_LOGGING_LEVEL") {
            guard let known = Self.level(level) else { throw UsageError("VLLM_LOGGING_LEVEL: '\(level)' is no level.") }
            logLevel = known
        }
        logPrefix = environment["VLLM_LOGGING_PREFIX"] ?? ""
        model.threads = try Self.threads(environment)
    }

    /// What no single flag can see. Throws naming the flags.
    mutating func check() throws(UsageError) {
        guard !model.model.isEmpty else {
            throw UsageError("Which model? `martlet serve MODEL`: a directory, a .gguf file or a hub name.")
        }
        guard model.maxBatchedTokens >= model.maxRunningSequences else {
            throw UsageError(
                "--max-num-batched-tokens \(model.maxBatchedTokens) is below --max-num-seqs "
                    + "\(model.maxRunningSequences): each running sequence needs a token a step.")
        }
        if let local = localEngineCount, local != model.parallel.data {
            throw UsageError(
                "--data-parallel-size-local \(local): all \(model.parallel.data) engines of --data-parallel-size are in"
                    + " this process. Leave it out, and start a server on each host.")
        }
        if !engine.enableChunkedPrefill {
            guard let length = model.maxModelLength, length <= model.maxBatchedTokens else {
                throw UsageError(
                    "--no-enable-chunked-prefill needs --max-model-len, and --max-num-batched-tokens at least as large."
                )
            }
        }
        engine.maxRunningSequences = model.maxRunningSequences
        engine.maxBatchedTokens = model.maxBatchedTokens
        if names.isEmpty { names = [model.model] }
    }

    /// `{'model': '…', 'port': 8001}`, keys masked.
    var nonDefaultArguments: String {
        var last: [(name: String, text: String)] = []
        for item in given {
            last.removeAll { $0.name == item.name }
            last.append((item.name, item.name == "api-key" ? "['***']" : item.value.pythonText))
        }
        return "{" + last.map { "'\($0.name.replacing("-", with: "_"))': \($0.text)" }.joined(separator: ", ") + "}"
    }

    private static func level(_ name: String) -> Logger.Level? {
        switch name.uppercased() {
        case "DEBUG": .debug
        case "INFO": .info
        case "WARNING", "WARN": .warning
        case "ERROR": .error
        case "CRITICAL", "FATAL": .critical
        default: nil
        }
    }

    /// `VLLM_CPU_OMP_THREADS_BIND` ("0-3,8": counted, not bound) or `VLLM_CPU_NUM_OF_RESERVED_CPU`.
    private static func threads(_ environment: [String: String]) throws(UsageError) -> Int? {
        if let bind = environment["VLLM_CPU_OMP_THREADS_BIND"], !bind.isEmpty,
            !["auto", "nobind", "all"].contains(bind)
        {
            var count = 0
            for piece in bind.split(separator: "|").first?.split(separator: ",") ?? [] {
                let ends = piece.split(separator: "-").map { Int($0) }
                guard let low = ends.first ?? nil, let high = ends.last ?? nil, ends.count <= 2, low <= high,
                    high < 4096
                else {
                    throw UsageError("VLLM_CPU_OMP_THREADS_BIND: '\(bind)' is no list of CPUs such as 0-3,8.")
                }
                count += high - low + 1
            }
            return max(1, count)
        }
        guard let reserved = environment["VLLM_CPU_NUM_OF_RESERVED_CPU"], !reserved.isEmpty else { return nil }
        guard let count = Int(reserved), count >= 0 else {
            throw UsageError("VLLM_CPU_NUM_OF_RESERVED_CPU: '\(reserved)' is no count.")
        }
        return max(1, ProcessInfo.processInfo.activeProcessorCount - count)
    }
}
