import MartletCPU
import MartletCUDA
import MartletModels
import MartletServer
import MartletTensor

extension FlagCatalogue {
    /// What is loaded, from where, and in which precision.
    static let modelFlags: [ServeFlag] = [
        .honours(
            "model", means: "A directory, a .gguf file, or a hub name that a local cache has; also without --model"
        ) {
            $0.model.model = $1.text
        },
        .honours(
            "served-model-name", kind: .words,
            means: "Names that requests may use; answers and metrics carry the first",
            standard: "the model as given"
        ) { (settings, value) throws(UsageError) in
            guard value.words.allSatisfy({ !$0.isEmpty }) else {
                throw UsageError("--served-model-name: a name is empty.")
            }
            settings.names = value.words
        },
        .honours("tokenizer", means: "A directory with tokenizer.json, or that file", standard: "the model's") {
            $0.model.tokenizer = $1.text
        },
        .honours(
            "dtype", kind: .choice(["auto", "half", "float16", "bfloat16", "float", "float32"]),
            means: "Storage of plain weights; sums are always float32", standard: "auto: as the files have it"
        ) { $0.model.dtype = dtypes[$1.text] },
        .honours(
            "quantization", "q", kind: .choice(quantizations),
            means: "What plain matrices become while they are loaded: blocks of 8 or 4 bits",
            standard: "none: as the files have it"
        ) { (settings, value) throws(UsageError) in
            guard !unreadQuantizations.contains(value.text) else {
                throw .notBuiltYet(
                    "quantization \(value.text)",
                    "such checkpoints are not read. The bf16 or f16 one with --quantization int8 or int4, or a"
                        + " GGUF file of the model runs today.")
            }
            settings.model.quantization = WeightQuantization(rawValue: value.text) ?? .none
            guard value.text == "fp8" else { return }
            settings.model.quantization = .int8
            settings.model.eightBits = .fp8
            settings.remarks.append(
                "--quantization fp8: plain matrices become int8 with a scale for every 32 weights, 8.5 bits each. GPUs"
                    + " from compute capability 8.9 on multiply many rows with them in fp8.")
        },
        .honours(
            "load-format", kind: .choice(LoadFormat.allCases.map(\.rawValue)),
            means: "Where weights come from; dummy makes them up from config.json", standard: "auto"
        ) { $0.model.loadFormat = LoadFormat(rawValue: $1.text) ?? .auto },
        .honours(
            "mmap", kind: .toggle,
            means: "Use ready-packed weights where their file is mapped; --no-mmap copies them into memory",
            standard: "on"
        ) { $0.model.copiesPanels = !$1.isOn },
        .honours(
            "max-model-len", kind: .count(-1...(1 << 30)),
            means: "Tokens of prompt and output together; auto or -1 fits memory",
            standard: "the model's, or what memory holds"
        ) { (settings, value) throws(UsageError) in
            guard value.count != 0 else { throw UsageError("--max-model-len: 0 is no length; -1 fits memory.") }
            settings.model.maxModelLength = value.count < 0 ? nil : value.count
        },
        .honours("seed", kind: .count(0...Int.max), means: "Seeds requests that bring none", standard: "0") {
            $0.seed = UInt64($1.count)
        },
        .honours(
            "generation-config", means: "Sampling defaults: auto (the model's file), vllm (none), or a directory",
            standard: "auto"
        ) {
            $0.generationConfig = $1.text
        },
        .honours(
            "override-generation-config", kind: .object,
            means: "Sampling defaults over the model's, e.g. {\"temperature\": 0.2}",
            standard: "none"
        ) { (settings, value) throws(UsageError) in
            try GenerationFile.check(value.object)
            settings.generationOverrides = value.object
        },
        .honours("max-logprobs", kind: .count(0...20), means: "Most top_logprobs a request may ask for", standard: "20")
        {
            $0.server.limits.topLogprobs = $1.count
        },
        .honours("config", means: "A YAML file of flags; the command line wins over it", standard: "none") { _, _ in },
        .honours(
            "vllm-compat", kind: .choice(["strict", "warn"]), means: "warn: skip unknown flags instead of exiting",
            standard: "strict"
        ) {
            _, _ in
        },
        .honours(
            "threads", kind: .count(1...1024), means: "Threads that compute, of all ranks together",
            standard: "the CPUs this process may use"
        ) {
            $0.model.threads = $1.count
        },
        .honours(
            "isa", kind: .choice(["scalar", "avx2", "avxvnni", "avx512", "avx512bf16", "neon"]),
            means: "Instruction set of the kernels", standard: "the best of this CPU"
        ) {
            $0.instructionSet = $1.text
        },
        .honours(
            "activations", kind: .choice(ActivationPrecision.allCases.map(\.rawValue)),
            means: "Precision of activations in products: f32 is exact; int8 with quantised weights; bf16 as int8, and"
                + " with bf16 weights too. On a GPU operands are of --dtype, and int8 is for many rows with quantised"
                + " weights", standard: "int8; on a GPU none of these"
        ) {
            $0.model.activations = ActivationPrecision(rawValue: $1.text) ?? .int8
        },
        .honours(
            "device", kind: .choice(ComputeDevice.Choice.allCases.map(\.rawValue)),
            means: "Where to compute; auto: on the GPUs that CUDA_VISIBLE_DEVICES leaves, if there are any",
            standard: "auto"
        ) {
            $0.deviceChoice = ComputeDevice.Choice(rawValue: $1.text) ?? .auto
        },
        .ignores(
            "trust-remote-code", kind: .toggle, means: "Run code of the checkpoint",
            because: "Martlet never runs code of a checkpoint."),
        .honours(
            "enforce-eager", kind: .toggle,
            means: "No graph capture: every kernel of a decode step of a GPU is launched"
        ) {
            $0.model.capturesGraphs = !$1.isOn
        },
        .refuses(
            "revision", means: "A branch or commit of the hub",
            because: "copy or link that snapshot and name its directory."),
        .refuses("hf-config-path", means: "Another config.json", because: "put config.json beside the weights."),
        .refuses(
            "tokenizer-mode", means: "Which tokenizer code", standard: "auto", because: "there is one tokenizer here.",
            harmless: ["auto", "hf"]),
        .refuses(
            "runner", means: "Kind of model", standard: "auto", because: "only generation is served.",
            harmless: ["auto", "generate"]),
        .refuses(
            "task", means: "Kind of model (older vLLM)", standard: "auto", because: "only generation is served.",
            harmless: ["auto", "generate"]),
    ]

    private static let dtypes: [String: DType] = [
        "half": .f16, "float16": .f16, "bfloat16": .bf16, "float": .f32, "float32": .f32,
    ]

    private static let quantizations =
        ["auto", "gguf"] + WeightQuantization.allCases.map(\.rawValue) + ["fp8"] + unreadQuantizations
    /// Of checkpoints that somebody else has quantised.
    private static let unreadQuantizations = [
        "awq", "awq_marlin", "gptq", "gptq_marlin", "compressed-tensors", "bitsandbytes", "nvfp4",
    ]
}
