import ArgumentParser
import Foundation
import MartletModels
import MartletTensor

/// `martlet plan`: what of a model fits where. Needs config.json (or a GGUF file), no weights.
struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Say what memory a model needs and what fits.",
        discussion: """
            Counts weights, KV cache and activations from config.json alone. With several devices, weights and KV heads
            are shared out evenly, as tensor parallelism does; this version runs one CPU rank, so such rows are a plan.

            EXAMPLES:
              martlet plan ./AutoGLM-Phone-9B --devices 2x24GiB
              martlet plan ./AutoGLM-Phone-9B --devices 16GiB --max-model-len 4096
              martlet plan model.gguf
            """)

    @Argument(help: "A directory with config.json, a .gguf file, or a hub name that a local cache has.")
    var model: String
    @Option(help: "Devices, e.g. 24GiB or 2x24GiB; default: this machine's free memory.") var devices: String?
    @Option(help: "Tokens of a sequence that must fit; default: the model's own limit.") var maxModelLen: String?
    @Option(help: "Precision of the KV cache: f16, bf16, f32 or int8; default: as the weights.")
    var kvCacheDtype: String?
    @Option(help: "Rows of a step, for the activations.") var maxNumBatchedTokens = 512

    func run() throws {
        let environment = ProcessInfo.processInfo.environment
        let configuration = try Self.configuration(of: model, environment: environment)
        let asked = try maxModelLen.map { text -> Int in
            guard let length = CountNotation.read(text), length > 0 else {
                throw UsageError("--max-model-len: '\(text)' is no length.")
            }
            return length
        }
        let cacheType = try kvCacheDtype.map { text -> DType in
            let words = [
                "f16": DType.f16, "half": .f16, "float16": .f16, "bf16": .bf16, "bfloat16": .bf16, "f32": .f32,
                "float32": .f32, "int8": .q8_0,
            ]
            guard let type = words[text.lowercased()] else {
                throw UsageError("--kv-cache-dtype: '\(text)' is none of f16, bf16, f32, int8.")
            }
            return type
        }
        guard (1...65536).contains(maxNumBatchedTokens) else {
            throw UsageError("--max-num-batched-tokens is between 1 and 65536.")
        }
        let plan = MemoryPlan(
            configuration: configuration, devices: try devices.map(DeviceList.init(text:)) ?? DeviceList.thisMachine(),
            length: min(asked ?? Int.max, configuration.decoder.maxPositions),
            cacheType: cacheType ?? (configuration.dtype.isQuantized ? .f16 : configuration.dtype),
            rows: maxNumBatchedTokens)
        print(plan.text(name: model), terminator: "")
    }

    /// Of a GGUF file its metadata; else config.json, with no need for weights.
    private static func configuration(of model: String, environment: [String: String]) throws -> ModelConfiguration {
        if model.hasSuffix(".gguf") { return try ModelFiles.open(model, environment: environment).configuration }
        let directory = model.hasSuffix("/config.json") ? String(model.dropLast("/config.json".count)) : model
        if let files = try? ModelFiles.open(directory, environment: environment), files.isPacked {
            return files.configuration
        }
        do {
            return try ModelFiles.open(directory, loadFormat: .dummy, environment: environment).configuration
        } catch {
            // A directory of GGUF files has no config.json.
            guard let files = try? ModelFiles.open(directory, environment: environment) else { throw error }
            return files.configuration
        }
    }
}

/// `2x24GiB`: equal devices.
struct DeviceList: Equatable {
    var count: Int
    /// Of one.
    var bytes: Int

    init(count: Int, bytes: Int) {
        self.count = count
        self.bytes = bytes
    }

    init(text: String) throws {
        let failure = UsageError("--devices: '\(text)' is not COUNTxSIZE such as 2x24GiB or 16GiB.")
        let halves = text.lowercased().split(separator: "x", omittingEmptySubsequences: false)
        guard halves.count <= 2, let size = halves.last else { throw failure }
        let count = halves.count == 2 ? Int(halves[0]) : 1
        let unit = size.hasSuffix("gib") ? 3 : size.hasSuffix("gb") ? 2 : size.hasSuffix("g") ? 1 : 0
        let scale = unit == 2 ? 1e9 : 1_073_741_824
        guard let count, (1...1024).contains(count), let gibibytes = Double(size.dropLast(unit)), gibibytes > 0,
            gibibytes < 1e6
        else { throw failure }
        self.init(count: count, bytes: Int(gibibytes * scale))
    }

    static func thisMachine() throws -> DeviceList {
        guard let memory = HostMemory.read() else {
            throw UsageError("This machine's memory could not be read. Give --devices, e.g. --devices 16GiB.")
        }
        return DeviceList(count: 1, bytes: memory.available)
    }
}
