import MartletCPU
import MartletCore
import MartletModels
import MartletParallel
import MartletServer

extension RankAgreement {
    /// What decides the bits that ranks compute, and the messages they expect of one another. Opens the model's files,
    /// and throws what is wrong with them or with a size.
    init(_ settings: ServeSettings, environment: [String: String]) throws {
        let options = settings.model
        let files = try ModelFiles.open(options.model, loadFormat: options.loadFormat, environment: environment)
        _ = try ParallelLayout(files, options: options)
        let partition = (options.parallel.layerPartition ?? []).map { "\($0)" }.joined(separator: ",")
        #if DEBUG
        let build = "debug"
        #else
        let build = "release"
        #endif
        self.init([
            Entry("the version", "\(MartletVersion.number), \(build)"),
            Entry("the model", "\(files.name), \(Self.identity(of: files))"),
            Entry("--device", options.device.rawValue),
            Entry("--tensor-parallel-size", "\(options.parallel.tensor)"),
            Entry("--pipeline-parallel-size", "\(options.parallel.pipeline)"),
            Entry("--data-parallel-size", "\(options.parallel.data)"),
            Entry("--pipeline-layer-partition", partition),
            Entry("--mm-encoder-tp-mode", options.parallel.towerMode.rawValue),
            Entry("--load-format", "\(options.loadFormat)"),
            Entry("--dtype", options.dtype.map { "\($0)" } ?? "auto"),
            Entry("--kv-cache-dtype", options.cacheType.map { "\($0)" } ?? "auto"),
            Entry("--quantization", "\(options.quantization)"),
            Entry("--activations", "\(options.activations)"),
            Entry("--activations on a GPU", options.eightBits.map { "\($0)" } ?? "--dtype"),
            Entry("--isa", try CPUKernels(isa: settings.instructionSet).name),
            Entry("--max-num-batched-tokens", "\(options.maxBatchedTokens)"),
            Entry("--max-num-seqs", "\(options.maxRunningSequences)"),
        ])
    }

    /// Of configuration, and of the tensors with their types: the start of a digest.
    private static func identity(of files: ModelFiles) -> String {
        var hasher = DigestHasher()
        hasher.update("\(files.configuration)".utf8)
        for tensor in files.configuration.tensors(of: files.weights) { hasher.update("\(tensor)".utf8) }
        return String(hasher.finish().description.prefix(16))
    }
}
