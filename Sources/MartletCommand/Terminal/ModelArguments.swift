import ArgumentParser
import Foundation

/// The arguments that every command with a model shares; read by the same table as `serve`'s.
struct ModelArguments: ParsableArguments {
    @Argument(help: "A directory, a .gguf file, or a hub name that a local cache has.")
    var model: String
    @Option(help: ArgumentHelp("Storage of plain weights.", valueName: "auto|half|bfloat16|float32"))
    var dtype: String?
    @Option(
        name: [.long, .customShort("q")],
        help: ArgumentHelp("What plain matrices become while they are loaded.", valueName: "none|int8|int4"))
    var quantization: String?
    @Flag(inversion: .prefixedNo, help: "Use ready-packed weights where their file is mapped.") var mmap = true
    @Option(help: "Precision of the KV cache.") var kvCacheDtype: String?
    @Option(help: "Tokens of prompt and output together (1k, 4K, auto).") var maxModelLen: String?
    @Option(help: "Where weights come from.") var loadFormat: String?
    @Option(help: "A directory with tokenizer.json, or that file.") var tokenizer: String?
    @Option(help: "A Jinja file to use instead of the model's template.") var chatTemplate: String?
    @Option(help: "Threads that compute, of all ranks together.") var threads: String?
    @Option(
        name: [.long, .customLong("tp")],
        help: ArgumentHelp("Ranks that share every layer, each on its own cores.", valueName: "n"))
    var tensorParallelSize: String?
    @Option(help: ArgumentHelp("How these share the vision tower.", valueName: "weights|data"))
    var mmEncoderTpMode: String?
    @Option(
        name: [.long, .customLong("pp")],
        help: ArgumentHelp("Stages that share the stack of layers.", valueName: "n"))
    var pipelineParallelSize: String?
    @Option(help: ArgumentHelp("Layers of each stage; default: balanced.", valueName: "18,22"))
    var pipelineLayerPartition: String?
    @Option(help: "Instruction set of the kernels.") var isa: String?
    @Option(help: "Precision of activations in products (f32, int8, bf16).") var activations: String?
    @Option(help: ArgumentHelp("Where to compute.", valueName: "auto|cpu|cuda")) var device: String?
    @Option(help: "Share of each GPU's memory to use.") var gpuMemoryUtilization: String?
    @Flag(help: "No graph capture on a GPU.") var enforceEager = false

    /// Throws `UsageError`.
    func settings() throws -> ServeSettings {
        var words = ["--model=\(model)"]
        let options = [
            ("dtype", dtype), ("kv-cache-dtype", kvCacheDtype), ("max-model-len", maxModelLen),
            ("load-format", loadFormat), ("tokenizer", tokenizer), ("chat-template", chatTemplate),
            ("threads", threads), ("isa", isa), ("activations", activations), ("quantization", quantization),
            ("tensor-parallel-size", tensorParallelSize), ("mm-encoder-tp-mode", mmEncoderTpMode),
            ("pipeline-parallel-size", pipelineParallelSize), ("pipeline-layer-partition", pipelineLayerPartition),
            ("device", device), ("gpu-memory-utilization", gpuMemoryUtilization),
        ]
        for (name, value) in options { if let value { words.append("--\(name)=\(value)") } }
        if !mmap { words.append("--no-mmap") }
        if enforceEager { words.append("--enforce-eager") }
        let environment = ProcessInfo.processInfo.environment
        var settings = try FlagReader(words).settings(environment: environment)
        try settings.settle(environment: environment)
        if let name = settings.instructionSet { setenv("MARTLET_FORCE_ISA", name, 1) }
        return settings
    }
}
