import ArgumentParser
import Foundation
import MartletModels
import MartletTensor

/// `martlet plan`: what of a model fits where. Needs config.json (or a GGUF file), no weights.
struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Say what memory a model needs and what fits.",
        discussion: """
            Counts weights, KV cache and workspace from config.json alone (or from a GGUF file), for this machine's free
            memory or for --devices. It shares the model out as ranks do, cut by cut, and says for each rank what it
            holds, how many tokens of context fit beside it, what the ranks tell each other for every token, and, where
            --bandwidth says how fast a device reads its memory, the least time that a token can take. Devices are
            GPUs, on which serve sets room aside for pictures, or with --device cpu groups of cores. Sizes that do not
            suit the model are refused, with those that do.

            With --simulate it sends a load to copies of that layout, in virtual time: the scheduler and the routing are
            those that serve, and a step takes what --bandwidth and --flops say, or --cost, or what this machine does.
            A load is a file (docs/simulation.md) or agents:N[:STEPS], phones in tasks of so many steps.

            EXAMPLES:
              martlet plan ./AutoGLM-Phone-9B --devices 2x24GiB --max-model-len 4096
              martlet plan ./AutoGLM-Phone-9B --devices 2x24GiB --bandwidth 1008 --link 25
              martlet plan ./AutoGLM-Phone-9B --devices 8x24GiB --tp 2 --pp 2 --dp 2 --quantization int8
              martlet plan model.gguf --bandwidth measure
              martlet plan ./AutoGLM-Phone-9B --devices 24GiB -q int8 --bandwidth 1008 --flops 165 \
                --simulate agents:100 --replicas 10 --ttft 2 --tpot 0.1
            """)

    @Argument(help: "A directory with config.json, a .gguf file, or a hub name that a local cache has.")
    var model: String
    @OptionGroup(title: "DEVICES AND RANKS") var parallel: ParallelArguments
    @Option(help: "Tokens of a sequence that must fit; default: the model's own limit.") var maxModelLen: String?
    @Option(help: "Precision of the KV cache: f16, bf16, f32 or int8; default: as the weights.")
    var kvCacheDtype: String?
    @Option(help: "Tokens of a step; default: as serve, 512, on GPUs 2048.") var maxNumBatchedTokens: Int?
    @OptionGroup(title: "SIMULATION") var simulation: SimulationArguments

    func run() throws {
        let files = try Self.files(of: model, environment: ProcessInfo.processInfo.environment)
        let configuration = files.configuration
        let cacheType = try askedCacheType() ?? (configuration.dtype.isQuantized ? .f16 : configuration.dtype)
        let device = parallel.kind
        let rows = maxNumBatchedTokens ?? device.usualRows
        guard (1...65536).contains(rows) else {
            throw UsageError("--max-num-batched-tokens is between 1 and 65536.")
        }
        let devices = try parallel.deviceList()
        let plan = ParallelPlan(
            configuration: configuration, tensors: configuration.tensors(of: files.weights), devices: devices,
            share: try parallel.memoryShare(), size: try parallel.size(over: devices),
            storages: try parallel.storages(for: configuration), askedLength: try askedLength(), cacheType: cacheType,
            rows: rows, speeds: try parallel.speeds(), images: try ModelText.imageProcessor(files, arguments: [:]),
            device: device)
        guard let load = try simulation.load() else {
            return print(try plan.text(name: model), terminator: "")
        }
        print(try simulation.plan(plan).run(load, name: model), terminator: "")
    }

    private func askedLength() throws -> Int? {
        try maxModelLen.map { text in
            guard let length = CountNotation.read(text), length > 0 else {
                throw UsageError("--max-model-len: '\(text)' is no length.")
            }
            return length
        }
    }

    private func askedCacheType() throws -> DType? {
        try kvCacheDtype.map { text in
            guard let type = DType.cacheTypes[text.lowercased()] else {
                throw UsageError("--kv-cache-dtype: '\(text)' is none of f16, bf16, f32, int8.")
            }
            return type
        }
    }

    /// A GGUF file's metadata; else config.json, with no need for weights.
    private static func files(of model: String, environment: [String: String]) throws -> ModelFiles {
        if model.hasSuffix(".gguf") { return try ModelFiles.open(model, environment: environment) }
        let directory = model.hasSuffix("/config.json") ? String(model.dropLast("/config.json".count)) : model
        if let files = try? ModelFiles.open(directory, environment: environment), files.isPacked { return files }
        do {
            return try ModelFiles.open(directory, loadFormat: .dummy, environment: environment)
        } catch {
            // A directory of GGUF files has no config.json.
            guard let files = try? ModelFiles.open(directory, environment: environment) else { throw error }
            return files
        }
    }
}
