import MartletCore
import MartletTensor

/// A model's directory as Hugging Face lays it out.
struct HuggingFaceFiles {
    private static let maxConfigurationBytes = 16 << 20
    private static let maxTokenizerBytes = 256 << 20
    private static let maxTemplateBytes = 4 << 20

    let directory: CheckpointDirectory
    let name: String

    func open(isDummy: Bool) throws(ModelError) -> ModelFiles {
        guard let config = try json("config.json") else {
            throw ModelError(file: directory.path, reason: "holds neither config.json nor a .gguf file")
        }
        let generation = try json("generation_config.json")
        var configuration = try ModelConfiguration(config: config, generation: generation, file: path("config.json"))
        let source: any WeightSource
        let tensors: [TensorInfo]
        if isDummy {
            tensors = configuration.tensors
            source = try ModelFiles.weights { () throws(WeightError) in try DummyCheckpoint(tensors: tensors) }
        } else {
            let checkpoint = try self.checkpoint()
            try configuration.check(checkpoint, file: directory.path)
            tensors = checkpoint.tensors
            configuration.dtype = ModelConfiguration.dominantDType(tensors)
            source = checkpoint
        }
        let tokenizerConfig = try json("tokenizer_config.json")
        return ModelFiles(
            name: name, location: directory.path, configuration: configuration, weights: source,
            tokenizer: try tokenizer(tokenizerConfig), chatTemplate: try chatTemplate(tokenizerConfig),
            generationConfig: generation,
            processorConfig: configuration.vision == nil ? nil : try processorConfig(),
            totalBytes: tensors.reduce(0) { $0 + $1.byteCount })
    }

    private func checkpoint() throws(ModelError) -> SafetensorsCheckpoint {
        let names = directory.names
        if !names.contains(where: { $0.hasSuffix(".safetensors") || $0 == SafetensorsCheckpoint.indexName }) {
            let others = names.filter { $0.hasSuffix(".bin") || $0.hasSuffix(".pth") || $0.hasSuffix(".pt") }
            throw ModelError(
                file: directory.path,
                reason: others.isEmpty
                    ? "holds no weights (.safetensors or .gguf); is the download complete? To try it without weights:"
                        + " --load-format dummy"
                    : "holds weights as \(others[0]), which is not read; take the .safetensors or a GGUF file")
        }
        return try ModelFiles.weights { () throws(WeightError) in try SafetensorsCheckpoint(directory: directory) }
    }

    private func tokenizer(_ configuration: JSONValue?) throws(ModelError) -> ModelFiles.Tokenizer {
        guard let bytes = try read("tokenizer.json", maxBytes: Self.maxTokenizerBytes) else { return .none }
        return .json(bytes: bytes, file: path("tokenizer.json"), configuration: configuration)
    }

    private func chatTemplate(_ tokenizerConfig: JSONValue?) throws(ModelError) -> String? {
        if let bytes = try read("chat_template.jinja", maxBytes: Self.maxTemplateBytes) {
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw ModelError(file: path("chat_template.jinja"), reason: "is not UTF-8")
            }
            return text
        }
        // Processors of one era wrote it to a file of its own.
        let places = [tokenizerConfig?["chat_template"], try json("chat_template.json")?["chat_template"]]
        for place in places.compactMap({ $0 }) {
            if let text = place.string { return text }
            let named = place.array?.first { $0["name"]?.string == "default" }
            if let text = named?["template"]?.string { return text }
        }
        return nil
    }

    private func processorConfig() throws(ModelError) -> JSONValue? {
        if let document = try json("preprocessor_config.json") { return document }
        return try json("processor_config.json")?["image_processor"]
    }

    private func path(_ name: String) -> String { directory.path + "/" + name }

    private func read(_ name: String, maxBytes: Int) throws(ModelError) -> [UInt8]? {
        try ModelFiles.weights { () throws(WeightError) in try directory.read(name, maxBytes: maxBytes) }
    }

    private func json(_ name: String) throws(ModelError) -> JSONValue? {
        guard let bytes = try read(name, maxBytes: Self.maxConfigurationBytes) else { return nil }
        do { return try JSONParser.parse(bytes) } catch { throw ModelError(file: path(name), reason: "\(error)") }
    }
}
