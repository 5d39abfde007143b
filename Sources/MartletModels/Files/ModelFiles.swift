import Foundation
import MartletCore
import MartletTensor

/// How weights are come by (`--load-format`).
package enum LoadFormat: String, Sendable, CaseIterable {
    /// safetensors if the directory has a `config.json`, else GGUF.
    case auto
    case safetensors
    case gguf
    /// Made up, of the shapes in `config.json` (MODEL.md 7.2).
    case dummy
}

/// Everything a model's files say, opened and checked: after this, only reading can fail.
package struct ModelFiles: Sendable {
    /// Where the tokenizer is.
    package enum Tokenizer: Sendable {
        /// `tokenizer.json`, and `tokenizer_config.json` if it is there.
        case json(bytes: [UInt8], file: String, configuration: JSONValue?)
        case gguf(GGUFTokenizerMetadata)
        case none
    }

    /// The hub's name, else the directory's or file's.
    package let name: String
    /// Path of the directory or text file.
    package let location: String
    package let configuration: ModelConfiguration
    package let weights: any WeightSource
    package let tokenizer: Tokenizer
    /// `chat_template.jinja`, else `tokenizer_config.json`'s, else the GGUF file's; nil if there is none.
    package let chatTemplate: String?
    /// `generation_config.json`; nil for GGUF.
    package let generationConfig: JSONValue?
    /// `preprocessor_config.json`, else `processor_config.json`'s `image_processor`; made up of the vision file's
    /// metadata for GGUF; nil for text-only models.
    package let processorConfig: JSONValue?
    /// Bytes of the weights as stored.
    package let totalBytes: Int
    /// The GGUF files that describe the model, the text file first; empty for Hugging Face directories.
    package let ggufFiles: [GGUFFile]

    /// Names of the headers in a ready-packed directory (MODEL.md 8.5).
    package static let packedTextHeader = "text.gguf-header"
    package static let packedVisionHeader = "vision.gguf-header"

    /// Whether the weights are ready-packed: they need no packing, and their memory is the file's.
    package var isPacked: Bool { (weights as? SafetensorsCheckpoint)?.isPacked ?? false }

    init(
        name: String, location: String, configuration: ModelConfiguration, weights: any WeightSource,
        tokenizer: Tokenizer, chatTemplate: String?, generationConfig: JSONValue?, processorConfig: JSONValue?,
        totalBytes: Int, ggufFiles: [GGUFFile] = []
    ) {
        self.name = name
        self.location = location
        self.configuration = configuration
        self.weights = weights
        self.tokenizer = tokenizer
        self.chatTemplate = chatTemplate
        self.generationConfig = generationConfig
        self.processorConfig = processorConfig
        self.totalBytes = totalBytes
        self.ggufFiles = ggufFiles
    }

    /// Opens a directory, a `.gguf` file, or a hub name (`organisation/model`) out of the local caches. Checks that
    /// every tensor the configuration needs is there in its shape. `environment` says where the caches are.
    package static func open(
        _ path: String, loadFormat: LoadFormat = .auto, environment: [String: String]
    ) throws(ModelError) -> ModelFiles {
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) {
            let name = URL(fileURLWithPath: path).standardizedFileURL.lastPathComponent
            if isDirectory.boolValue {
                return try directory(path, name: ModelCache.hubName(ofSnapshot: path) ?? name, loadFormat: loadFormat)
            }
            return try file(path, name: name, loadFormat: loadFormat)
        }
        guard ModelCache.isHubName(path) else {
            throw ModelError(file: path, reason: "does not exist, and is not a hub's organisation/model")
        }
        let found = try ModelCache(environment: environment).directory(of: path)
        return try directory(found, name: path, loadFormat: loadFormat)
    }

    private static func file(_ path: String, name: String, loadFormat: LoadFormat) throws(ModelError) -> ModelFiles {
        guard loadFormat == .auto || loadFormat == .gguf else {
            throw ModelError(
                file: path, reason: "load format \(loadFormat.rawValue) needs a model's directory, not a file")
        }
        guard name.hasSuffix(".gguf") else {
            throw ModelError(file: path, reason: "is not a .gguf file; for safetensors give the model's directory")
        }
        return try GGUFModelFiles(path: path).open()
    }

    private static func directory(
        _ path: String, name: String, loadFormat: LoadFormat
    ) throws(ModelError) -> ModelFiles {
        let directory = try weights { () throws(WeightError) in try CheckpointDirectory(path: path) }
        let names = directory.names
        let hasGGUF = names.contains { $0.hasSuffix(".gguf") }
        let hasSafetensors = names.contains { $0.hasSuffix(".safetensors") || $0 == SafetensorsCheckpoint.indexName }
        if names.contains(packedTextHeader), loadFormat == .auto || loadFormat == .safetensors {
            return try GGUFModelFiles.packed(directory, name: name)
        }
        let wantsGGUF = loadFormat == .gguf || (loadFormat == .auto && hasGGUF && !hasSafetensors)
        if wantsGGUF { return try GGUFModelFiles.inDirectory(directory).open() }
        return try HuggingFaceFiles(directory: directory, name: name).open(isDummy: loadFormat == .dummy)
    }

    /// Runs `body` with its error as ours.
    static func weights<Result>(_ body: () throws(WeightError) -> Result) throws(ModelError) -> Result {
        do { return try body() } catch { throw ModelError(error) }
    }
}
