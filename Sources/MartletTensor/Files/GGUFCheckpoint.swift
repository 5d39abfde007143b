/// A GGUF text model of architecture glm4 or llama, and its vision file if it has one, seen as a Hugging Face
/// checkpoint: canonical names, Hugging Face row order, the patch embedding in one piece. Quantised rows stay
/// quantised: only whole rows are moved.
package final class GGUFCheckpoint: WeightSource {
    private enum Content: Sendable {
        case rows(GGUFFile, name: String, order: RowOrder)
        /// The temporal slices of the patch embedding, each [hidden, channels, patch, patch].
        case patches(GGUFFile, slices: [String])
    }

    private struct Entry: Sendable {
        let info: TensorInfo
        let content: Content
    }

    private let entries: [String: Entry]
    private let path: String
    /// Every tensor, as presented.
    package let tensors: [TensorInfo]

    /// Throws if the architecture is another, or if what the metadata says of heads cannot be true of the tensors.
    package init(text: GGUFFile, projector: GGUFFile?) throws(WeightError) {
        path = text.path
        var found = try Self.textEntries(text)
        if let projector { found += try Self.visionEntries(projector) }
        var entries: [String: Entry] = [:]
        for entry in found where entries.updateValue(entry, forKey: entry.info.name) != nil {
            throw WeightError(file: text.path, tensor: entry.info.name, reason: "is there twice")
        }
        self.entries = entries
        tensors = found.map(\.info)
    }

    package func info(_ name: String) -> TensorInfo? { entries[name]?.info }

    package func withRows<Result>(
        _ name: String, _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        guard let entry = entries[name] else { throw WeightError(file: path, tensor: name, reason: "is not there") }
        _ = try entry.info.byteRange(ofRows: range, file: path)
        switch entry.content {
        case .rows(let file, let source, let order):
            if order.kind == .same { return try file.withRows(source, range, body) }
            return try withScratch(range.count * entry.info.rowBytes) { scratch in
                try Self.gather(range, of: source, in: file, order: order, rowBytes: entry.info.rowBytes, into: scratch)
                return try body(UnsafeRawBufferPointer(scratch))
            }
        case .patches(let file, let slices):
            return try withScratch(range.count * entry.info.rowBytes) { scratch in
                try Self.interleave(range, of: slices, in: file, into: scratch)
                return try body(UnsafeRawBufferPointer(scratch))
            }
        }
    }

    package func discard(_ name: String) {
        switch entries[name]?.content {
        case .rows(let file, let source, _): file.discard(source)
        case .patches(let file, let slices): for slice in slices { file.discard(slice) }
        case nil: break
        }
    }

    // MARK: Text

    private static func textEntries(_ file: GGUFFile) throws(WeightError) -> [Entry] {
        let architecture = file.metadata["general.architecture"]?.string ?? ""
        guard architecture == "glm4" || architecture == "llama" else {
            throw WeightError(
                file: file.path,
                reason: "has architecture \"\(architecture)\"; glm4 and llama text models are read")
        }
        let isGLM = architecture == "glm4"
        let hasFusedGate = isGLM && file.info("blk.0.ffn_gate.weight") == nil
        var entries: [Entry] = []
        for tensor in file.tensors {
            guard let name = GGUFNames.text(tensor.name, isGLM: isGLM, hasFusedGate: hasFusedGate) else { continue }
            let order = try rowOrder(of: tensor, in: file, architecture: architecture)
            let info = TensorInfo(name: name, dtype: tensor.dtype, shape: tensor.shape)
            entries.append(Entry(info: info, content: .rows(file, name: tensor.name, order: order)))
        }
        return entries
    }

    private static func rowOrder(
        of tensor: TensorInfo, in file: GGUFFile, architecture: String
    ) throws(WeightError) -> RowOrder {
        let isQuery = tensor.name.contains(".attn_q.")
        guard isQuery || tensor.name.contains(".attn_k."), tensor.name.hasPrefix("blk.") else { return .same }
        let isGLM = architecture == "glm4"
        if isGLM && file.metadata["glm4.rope.dimension_sections"] == nil { return .same }
        let queryHeads = file.metadata["\(architecture).attention.head_count"]?.integer
        let heads =
            isQuery ? queryHeads : file.metadata["\(architecture).attention.head_count_kv"]?.integer ?? queryHeads
        guard let heads, heads > 0, tensor.rows % heads == 0 else {
            throw WeightError(
                file: file.path, tensor: tensor.name,
                reason: "\(tensor.rows) rows are not whole heads (\(heads.map(String.init) ?? "none given"))")
        }
        let dimension = tensor.rows / heads
        let rotary = isGLM ? file.metadata["glm4.rope.dimension_count"]?.integer ?? dimension : dimension
        guard rotary > 0, rotary % 2 == 0, rotary <= dimension else {
            throw WeightError(
                file: file.path, tensor: tensor.name,
                reason: "cannot have \(rotary) rotary dimensions in heads of \(dimension)")
        }
        return RowOrder(
            kind: isGLM ? .evenThenOdd : .halvesInterleaved, headDimension: dimension, rotaryDimension: rotary)
    }

    private static func gather(
        _ range: Range<Int>, of name: String, in file: GGUFFile, order: RowOrder, rowBytes: Int,
        into scratch: UnsafeMutableRawBufferPointer
    ) throws {
        guard let info = file.info(name), let target = scratch.baseAddress else { return }
        try file.withRows(name, 0..<info.rows) { rows in
            guard let base = rows.baseAddress else { return }
            for (index, row) in range.enumerated() {
                (target + index * rowBytes).copyMemory(from: base + order.source(row) * rowBytes, byteCount: rowBytes)
            }
        }
    }

    // MARK: Vision

    private static func visionEntries(_ file: GGUFFile) throws(WeightError) -> [Entry] {
        let slices = ["v.patch_embd.weight", "v.patch_embd.weight.1"]
        var entries: [Entry] = []
        for tensor in file.tensors where !slices.contains(tensor.name) {
            let info = TensorInfo(name: GGUFNames.vision(tensor.name), dtype: tensor.dtype, shape: tensor.shape)
            entries.append(Entry(info: info, content: .rows(file, name: tensor.name, order: .same)))
        }
        guard let first = file.info(slices[0]), let second = file.info(slices[1]) else {
            throw WeightError(file: file.path, reason: "lacks \(slices[0]) or \(slices[1])")
        }
        guard first.shape.count == 4, first.shape == second.shape, first.dtype == second.dtype,
            !first.dtype.isQuantized
        else {
            throw WeightError(
                file: file.path, tensor: first.name,
                reason: "\(first.dtype) \(first.shape) and \(second.dtype) \(second.shape) are not two slices of one"
                    + " patch embedding")
        }
        let shape = [first.shape[0], first.shape[1], slices.count, first.shape[2], first.shape[3]]
        let info = TensorInfo(name: TensorName.visionPrefix + "patch_embed.proj.weight", dtype: .f32, shape: shape)
        entries.append(Entry(info: info, content: .patches(file, slices: slices)))
        return entries
    }

    /// f32 rows in the order channel, frame, row, column from slices in the order channel, row, column.
    private static func interleave(
        _ range: Range<Int>, of slices: [String], in file: GGUFFile, into scratch: UnsafeMutableRawBufferPointer
    ) throws {
        let values = scratch.bindMemory(to: Float.self)
        for (frame, slice) in slices.enumerated() {
            guard let info = file.info(slice) else { continue }
            let plane = info.shape[2] * info.shape[3]
            try file.withRows(slice, range) { bytes in
                let source = QuantizedBlocks.dequantize(bytes, dtype: info.dtype)
                for (index, value) in source.enumerated() {
                    let channels = index / plane  // Over all rows: row * channels + channel.
                    values[(channels * slices.count + frame) * plane + index % plane] = value
                }
            }
        }
    }
}

/// Lends `byteCount` bytes of scratch memory, aligned for any vector load.
func withScratch<Result>(
    _ byteCount: Int, _ body: (UnsafeMutableRawBufferPointer) throws -> Result
) rethrows -> Result {
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 64)
    defer { scratch.deallocate() }
    return try body(scratch)
}
