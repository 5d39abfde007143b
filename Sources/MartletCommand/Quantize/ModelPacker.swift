import MartletCPU
import MartletCore
import MartletModels
import MartletTensor

/// A model's files made into a ready-packed directory (MODEL.md 8.5): its weights quantised and in panels, and the
/// files that describe it beside them.
struct ModelPacker {
    /// One file of weights.
    struct Shard: Equatable {
        let name: String
        var items: [PackedFileWriter.Item] = []
        var byteCount = 0
    }

    let files: ModelFiles
    let quantization: WeightQuantization
    /// Most bytes of tensors in one file; nil = all in one.
    let maxShardBytes: Int?
    let shards: [Shard]

    /// Decides what will be written where. Throws if the model is packed already or a split GGUF, or has a tensor
    /// without a size.
    init(_ files: ModelFiles, quantization: WeightQuantization, maxShardBytes: Int? = nil) throws {
        guard !files.isPacked else {
            throw PackError(path: files.location, reason: "is packed already; give the model that it was made of")
        }
        guard !files.ggufFiles.contains(where: \.isSplit) else {
            throw PackError(
                path: files.location,
                reason: "is a GGUF model in several files; join them first (llama-gguf-split --merge)")
        }
        self.files = files
        self.quantization = quantization
        self.maxShardBytes = maxShardBytes
        let tensors = files.configuration.tensors(of: files.weights)
        // Panels first: plain tensors have odd lengths and would move them off their alignment.
        let matrices = tensors.filter(\.isMatrix).map { info in
            PackedFileWriter.Item(
                info: TensorInfo(
                    name: info.name, dtype: quantization.target(of: info) ?? info.dtype, shape: info.shape),
                isPanels: true)
        }
        let others = tensors.filter { !$0.isMatrix }.map { PackedFileWriter.Item(info: $0, isPanels: false) }
        var groups: [Shard] = []
        for items in [matrices, others] {
            for item in items {
                let size = try item.byteCount(file: files.location)
                let filled = (groups.last?.byteCount ?? .max - size) + size
                if filled > maxShardBytes ?? (.max - 1) { groups.append(Shard(name: "")) }
                groups[groups.count - 1].items.append(item)
                groups[groups.count - 1].byteCount += size
            }
        }
        let count = groups.count
        shards = groups.enumerated().map { index, group in
            let name = count == 1
                ? "model.safetensors" : "model-\(Self.padded(index + 1))-of-\(Self.padded(count)).safetensors"
            return Shard(name: name, items: group.items, byteCount: group.byteCount)
        }
    }

    /// Bytes of the packed tensors.
    var byteCount: Int { shards.reduce(0) { $0 + $1.byteCount } }

    /// Bits of a weight, over all that is packed.
    var bitsPerWeight: Double {
        let weights = shards.reduce(0) { $0 + $1.items.reduce(0) { $0 + $1.info.elementCount } }
        return 8 * Double(byteCount) / Double(max(1, weights))
    }

    /// Writes everything into `directory`. `written` gets the bytes of each tensor. Throws `PackError`, `WeightError`
    /// naming file and tensor, or `MemoryError`.
    func write(to directory: StagedDirectory, backend: CPUBackend, written: (Int) -> Void) throws {
        if let free = directory.freeBytes, free < byteCount + (64 << 20) {
            throw PackError(
                path: directory.path,
                reason: "needs \(LoadProgress.gibibytes(byteCount)) GiB, and its disk has"
                    + " \(LoadProgress.gibibytes(free)) GiB left")
        }
        try copyDescriptions(to: directory)
        let source = files.configuration.asMultiplied(files.weights)
        for shard in shards {
            let path = directory.temporaryPath + "/" + shard.name
            let writer = try PackedFileWriter(path: path, layout: CPUBackend.panelLayout, items: shard.items)
            for item in shard.items {
                if item.isPanels {
                    let matrix = try backend.loadMatrix(
                        [MatrixSlice(item.info)], from: source, dtype: item.info.dtype)
                    try matrix.withPanels { bytes throws(WeightError) in try writer.write(bytes) }
                } else {
                    try source.withRows(item.info.name, 0..<item.info.rows) { try writer.write($0) }
                }
                source.discard(item.info.name)
                written(try item.byteCount(file: path))
            }
            try writer.finish()
        }
        if shards.count > 1 { try directory.write(index, to: SafetensorsCheckpoint.indexName) }
    }

    // MARK: Descriptions

    private static let maxDescriptionBytes = 256 << 20

    /// config.json, tokenizer, template and whatever else of text lies beside the weights; of GGUF files the headers.
    private func copyDescriptions(to directory: StagedDirectory) throws {
        guard files.ggufFiles.isEmpty else {
            let names = [ModelFiles.packedTextHeader, ModelFiles.packedVisionHeader]
            for (name, file) in zip(names, files.ggufFiles) {
                if let header = file.header { try directory.write(header, to: name) }
            }
            return
        }
        let source = try CheckpointDirectory(path: files.location)
        for name in source.names where Self.isDescription(name) {
            guard let bytes = try source.read(name, maxBytes: Self.maxDescriptionBytes) else { continue }
            try directory.write(bytes, to: name)
        }
    }

    private static func isDescription(_ name: String) -> Bool {
        guard !name.hasSuffix(".safetensors.index.json"), !name.hasPrefix(".") else { return false }
        return [".json", ".jinja", ".txt", ".model", ".md"].contains { name.hasSuffix($0) } || name.hasPrefix("LICENSE")
    }

    private var index: [UInt8] {
        var writer = JSONWriter()
        writer.raw("{\"metadata\":{\"total_size\":\(byteCount)},\"weight_map\":{")
        var isFirst = true
        for shard in shards {
            for item in shard.items {
                if !isFirst { writer.raw(",") }
                isFirst = false
                writer.string(item.info.name)
                writer.raw(":")
                writer.string(shard.name)
            }
        }
        writer.raw("}}")
        return writer.bytes
    }

    private static func padded(_ number: Int) -> String {
        String(repeating: "0", count: max(0, 5 - "\(number)".count)) + "\(number)"
    }
}
