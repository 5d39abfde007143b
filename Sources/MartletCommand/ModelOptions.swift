import MartletCPU
import MartletCUDA
import MartletModels
import MartletTensor

/// What a command is told about the model and how to run it; the command line is parsed elsewhere.
struct ModelOptions {
    var model = ""
    /// A directory with tokenizer.json, or a GGUF file, to take the tokenizer from; nil = the model's own.
    var tokenizer: String?
    var loadFormat = LoadFormat.auto
    /// Storage of plain matrices and of the KV cache; nil = as the files have it.
    var dtype: DType?
    var cacheType: DType?
    /// What plain matrices become while they are packed.
    var quantization = WeightQuantization.none
    /// Ready-packed weights are copied into memory of huge pages; else they are used where they are mapped.
    var copiesPanels = false
    /// nil = the model's own, lowered to what the memory holds.
    var maxModelLength: Int?
    var maxRunningSequences = ComputeDevice.cpu.usualSequences
    var maxBatchedTokens = ComputeDevice.cpu.usualRows
    var blockSize = 16
    /// nil = a quarter of what the machine has left after the weights (D10).
    var cacheBytes: Int?
    /// Of all ranks together.
    var threads: Int?
    /// Where to compute.
    var device = ComputeDevice.cpu
    /// Of a GPU's memory, 0…1: what weights, KV cache and everything else may take together.
    var deviceMemoryShare = 0.92
    /// Whether decode steps of a GPU are captured and replayed.
    var capturesGraphs = true
    /// In what a GPU multiplies many rows with quantised weights, where it can; nil: as few.
    var eightBits: EightBits?
    /// How many ranks share the model, and how.
    var parallel = ParallelSize()
    /// What quantised weights meet; plain ones meet f32.
    var activations = ActivationPrecision.int8
    /// Text of a chat template to use instead of the model's, and where it came from.
    var chatTemplate: (source: String, file: String)?
    /// Keys over those of the model's image processor (`--mm-processor-kwargs`).
    var processorArguments: [String: Int] = [:]
}
