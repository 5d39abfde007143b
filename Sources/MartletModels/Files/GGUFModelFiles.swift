import Foundation
import MartletCore
import MartletTensor

/// A GGUF text file and the vision file that lies beside it.
struct GGUFModelFiles {
    private static let maxSiblings = 256

    /// Path of the text file.
    let path: String

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
        try configuration.check(checkpoint, file: path)
        var processor: JSONValue?
        if let projector, let vision = configuration.vision { processor = try Self.processorConfig(projector, vision) }
        return ModelFiles(
            name: ((path as NSString).lastPathComponent as NSString).deletingPathExtension, location: path,
            configuration: configuration, weights: checkpoint, tokenizer: .gguf(try GGUFTokenizerMetadata(text)),
            chatTemplate: text.metadata["tokenizer.chat_template"]?.string, generationConfig: nil,
            processorConfig: processor,
            totalBytes: checkpoint.tensors.reduce(0) { $0 + $1.byteCount })
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
