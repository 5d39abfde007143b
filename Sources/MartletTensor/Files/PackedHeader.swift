import MartletCore

/// What the metadata of a ready-packed safetensors file says (MODEL.md 8.5): the layout of its panels, and of every
/// tensor what it is and the SHA-256 of its bytes.
struct PackedHeader: Sendable, Equatable {
    /// The version of this description, not of the panels' layout.
    static let version = "1"
    private static let maxLayoutBytes = 64

    /// One tensor of the file.
    struct Tensor: Sendable, Equatable {
        /// Logical; nil for a tensor that is stored plainly, as the safetensors header says.
        var panels: TensorInfo?
        /// 64 lower-case hexadecimal digits.
        var digest: String
    }

    var layout: String
    var tensors: [String: Tensor]

    /// nil for a file that is not ready-packed. Throws unless the metadata is whole and agrees with `entries`.
    static func read(_ metadata: [String: String], entries: [SafetensorsFile.Entry], file: String)
        throws(WeightError) -> PackedHeader?
    {
        guard let version = metadata["martlet.packed"] else { return nil }
        guard version == Self.version else {
            throw WeightError(
                file: file,
                reason: "is packed in version \(version.prefix(16)); this program reads version \(Self.version). Make"
                    + " it anew with `martlet quantize`")
        }
        guard let layout = metadata["martlet.layout"], !layout.isEmpty, layout.utf8.count <= maxLayoutBytes,
            let text = metadata["martlet.tensors"]
        else { throw WeightError(file: file, reason: "is packed and does not say martlet.layout or martlet.tensors") }
        let stated: JSONValue
        do { stated = try JSONParser.parse(Array(text.utf8)) } catch {
            throw WeightError(file: file, reason: "martlet.tensors is \(error)")
        }
        guard let object = stated.object else { throw WeightError(file: file, reason: "martlet.tensors is no object") }
        var header = PackedHeader(layout: layout, tensors: [:])
        for entry in entries {
            guard let value = object[entry.name] else {
                throw WeightError(file: file, tensor: entry.name, reason: "is not in martlet.tensors")
            }
            header.tensors[entry.name] = try tensor(value, entry, file: file)
        }
        for name in object.keys where header.tensors[name] == nil {
            throw WeightError(file: file, tensor: name, reason: "is in martlet.tensors and not in the file")
        }
        return header
    }

    private static func tensor(_ value: JSONValue, _ entry: SafetensorsFile.Entry, file: String)
        throws(WeightError) -> Tensor
    {
        func fault(_ reason: String) -> WeightError { WeightError(file: file, tensor: entry.name, reason: reason) }
        guard let digest = value["sha256"]?.string, digest.utf8.count == 64,
            digest.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { throw fault("has no sha256 of 64 hexadecimal digits") }
        guard value["dtype"] != nil || value["shape"] != nil else { return Tensor(panels: nil, digest: digest) }
        guard let dtype = value["dtype"]?.string.flatMap(DType.init(rawValue:)) else {
            throw fault("is packed with no dtype that is known")
        }
        guard let shape = value["shape"]?.array?.map({ $0.integer ?? 0 }), (2...SafetensorsFile.maxRank) ~= shape.count,
            let byteCount = PackedPanels.byteCount(dtype: dtype, shape: shape)
        else { throw fault("is packed with no shape that \(dtype.rawValue) can have") }
        guard entry.dtypeName == "U8", entry.bytes.count == byteCount else {
            throw fault(
                "has \(entry.bytes.count) bytes of \(entry.dtypeName) where panels of \(dtype.rawValue) \(shape) take"
                    + " \(byteCount) of U8")
        }
        guard entry.bytes.lowerBound % PackedPanels.alignment == 0 else {
            throw fault("begins at byte \(entry.bytes.lowerBound), no multiple of \(PackedPanels.alignment)")
        }
        return Tensor(panels: TensorInfo(name: entry.name, dtype: dtype, shape: shape), digest: digest)
    }

    /// The metadata that `read` reads.
    var metadata: [(key: String, value: String)] {
        var writer = JSONWriter()
        writer.raw("{")
        for (index, name) in tensors.keys.sorted().enumerated() {
            guard let tensor = tensors[name] else { continue }
            if index > 0 { writer.raw(",") }
            writer.string(name)
            writer.raw(":{")
            if let info = tensor.panels {
                writer.raw("\"dtype\":\"\(info.dtype.rawValue)\",\"shape\":\(Self.text(info.shape)),")
            }
            writer.raw("\"sha256\":\"\(tensor.digest)\"}")
        }
        writer.raw("}")
        return [("martlet.packed", Self.version), ("martlet.layout", layout), ("martlet.tensors", writer.text)]
    }

    /// `[4,8]`
    static func text(_ shape: [Int]) -> String { "[" + shape.map(String.init).joined(separator: ",") + "]" }
}
