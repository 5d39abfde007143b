import Foundation
import MartletCore
import MartletTensor

/// A GGUF text file and the vision file that lies beside it.
struct GGUFModelFiles {
    private static let maxSiblings = 256

    /// Path of the text file.
    let path: String

    /// A ready-packed directory: what the headers say, and the weights beside them.
    static func packed(_ directory: CheckpointDirectory, name: String) throws(ModelError) -> ModelFiles {
        func header(_ name: String) throws(ModelError) -> GGUFFile? {
            try ModelFiles.weights { () throws(WeightError) in
                guard let path = try directory.file(name) else { return nil }
                return try GGUFFile(header: path)
            }
        }
        guard let text = try header(ModelFiles.packedTextHeader) else {
            throw ModelError(file: directory.path, reason: "holds no \(ModelFiles.packedTextHeader)")
        }
        let weights = try ModelFiles.weights { () throws(WeightError) in
            try SafetensorsCheckpoint(directory: directory)
        }
        let projector = try header(ModelFiles.packedVisionHeader)
        return try files(
            text, projector: projector, ModelConfiguration(gguf: text, projector: projector), weights,
            weights.tensors, name: name, location: directory.path)
    }

    /// The one text model of a directory. Throws if there are several or none.
    static func inDirectory(_ directory: CheckpointDirectory) throws(ModelError) -> GGUFModelFiles {
        var texts: [String] = []
        for file in try candidates(directory) where GGUFFile.architecture(ofFileAt: file) != "clip" {
            texts.append(file)
        }
        guard let text = texts.first else {
            throw ModelError(file: directory.path, reason: "holds no GGUF text model")
        }
        guard texts.count == 1 else {
            let names = texts.map { ($0 as NSString).lastPathComponent }.joined(separator: ", ")
            throw ModelError(file: directory.path, reason: "holds several models; give the path of one of \(names)")
        }
        return GGUFModelFiles(path: text)
    }

    func open() throws(ModelError) -> ModelFiles {
        let text = try ModelFiles.weights { () throws(WeightError) in try GGUFFile(path: path) }
        let projector = try projector(of: text)
        let configuration = try ModelConfiguration(gguf: text, projector: projector)
        let checkpoint = try ModelFiles.weights { () throws(WeightError) in
            try GGUFCheckpoint(text: text, projector: projector)
        }
        return try Self.files(
            text, projector: projector, configuration, checkpoint, checkpoint.tensors,
            name: ((path as NSString).lastPathComponent as NSString).deletingPathExtension, location: path)
    }

    /// A model of what GGUF files say and of `weights`, which need not be theirs.
    private static func files(
        _ text: GGUFFile, projector: GGUFFile?, _ stated: ModelConfiguration, _ weights: any WeightSource,
        _ tensors: [TensorInfo], name: String, location: String
    ) throws(ModelError) -> ModelFiles {
        var configuration = stated
        try configuration.check(weights, file: location)
        configuration.dtype = ModelConfiguration.dominantDType(tensors)
        var processor: JSONValue?
        if let projector, let vision = configuration.vision { processor = try processorConfig(projector, vision) }
        return ModelFiles(
            name: name, location: location, configuration: configuration, weights: weights,
            tokenizer: .gguf(try GGUFTokenizerMetadata(text)),
            chatTemplate: text.metadata["tokenizer.chat_template"]?.string, generationConfig: nil,
            processorConfig: processor, totalBytes: tensors.reduce(0) { $0 + $1.byteCount },
            ggufFiles: [text, projector].compactMap { $0 })
    }

    /// The glm4v vision file in the same directory whose embeddings are as wide as the text model; the largest, and
    /// so the most precise, if there are several. A vision file is known by what it says, not by its name.
    private func projector(of text: GGUFFile) throws(ModelError) -> GGUFFile? {
        guard text.metadata["general.architecture"]?.string == "glm4" else { return nil }
        let parent = (path as NSString).deletingLastPathComponent
        let directory = try ModelFiles.weights { () throws(WeightError) in
            try CheckpointDirectory(path: parent.isEmpty ? "." : parent)
        }
        var best: (file: GGUFFile, bytes: Int)?
        for path in try Self.candidates(directory) where GGUFFile.architecture(ofFileAt: path) == "clip" {
            let file = try ModelFiles.weights { () throws(WeightError) in try GGUFFile(path: path) }
            guard file.metadata["clip.projector_type"]?.string == "glm4v",
                file.info("mm.down.weight")?.rows == text.info("token_embd.weight")?.columns
            else { continue }
            let bytes = file.tensors.reduce(0) { $0 + $1.byteCount }
            if bytes > best?.bytes ?? -1 { best = (file, bytes) }
        }
        return best?.file
    }

    /// Paths of the directory's GGUF models, sorted; later parts of split ones are not models. Links are followed
    /// wherever they lead: who listed the directory named them, no file did.
    private static func candidates(_ directory: CheckpointDirectory) throws(ModelError) -> [String] {
        let names = directory.names.filter { $0.hasSuffix(".gguf") && !GGUFFile.isLaterPart($0) }
        guard names.count <= maxSiblings else {
            throw ModelError(
                file: directory.path, reason: "holds \(names.count) GGUF files; at most \(maxSiblings) are read")
        }
        return names.map { directory.path + "/" + $0 }
    }

    /// What `preprocessor_config.json` would say. The pixel limits are the original's: the vision file has none
    /// (MODEL.md 3.1, 8.3).
    private static func processorConfig(
        _ projector: GGUFFile, _ vision: VisionConfiguration
    ) throws(ModelError) -> JSONValue {
        func channels(_ key: String, _ usual: [Double]) throws(ModelError) -> JSONValue {
            let values = projector.metadata["clip.vision.\(key)"].map { $0.numbers ?? [] } ?? usual
            guard values.count == 3, values.allSatisfy(\.isFinite) else {
                throw ModelError(file: projector.path, field: "clip.vision.\(key)", reason: "is not three numbers")
            }
            return .array(values.map { .number($0) })
        }
        return .object(
            JSONObject([
                ("image_mean", try channels("image_mean", [0.48145466, 0.4578275, 0.40821073])),
                ("image_std", try channels("image_std", [0.26862954, 0.26130258, 0.27577711])),
                (
                    "size",
                    .object(JSONObject([("shortest_edge", .integer(12544)), ("longest_edge", .integer(9_633_792))]))
                ),
                ("patch_size", .integer(Int64(vision.patchSize))),
                ("temporal_patch_size", .integer(Int64(vision.temporalPatchSize))),
                ("merge_size", .integer(Int64(vision.mergeSize))),
                ("do_rescale", .bool(true)),
            ]))
    }
}
