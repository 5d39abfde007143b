import MartletCore
import MartletTensor

/// The metadata and tensor shapes of a GGUF file, with errors that name file and key or tensor.
struct GGUFMetadata {
    let file: GGUFFile
    /// Before each key, for example "glm4.".
    let prefix: String

    func fault(_ key: String, _ reason: String) -> ModelError {
        ModelError(file: file.path, field: prefix + key, reason: reason)
    }

    func value(_ key: String) -> GGUFValue? { file.metadata[prefix + key] }

    /// Throws if the key is there and is no integer in `range`.
    func integer(_ key: String, _ range: ClosedRange<Int>) throws(ModelError) -> Int? {
        guard let value = value(key) else { return nil }
        guard let integer = value.integer, range.contains(integer) else {
            throw fault(key, "is not an integer from \(range.lowerBound) to \(range.upperBound)")
        }
        return integer
    }

    func required(_ key: String, _ range: ClosedRange<Int>) throws(ModelError) -> Int {
        guard let integer = try integer(key, range) else { throw fault(key, "is missing") }
        return integer
    }

    func number(_ key: String, _ range: ClosedRange<Double>, missing: Double) throws(ModelError) -> Double {
        guard let value = value(key) else { return missing }
        guard let number = value.number, range.contains(number) else {
            throw fault(key, "is not a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A tensor of `rank` dimensions, each within what a model's width may be.
    func tensor(_ name: String, rank: Int) throws(ModelError) -> TensorInfo {
        guard let info = file.info(name) else {
            throw ModelError(file: file.path, field: "tensor \(name)", reason: "is missing")
        }
        guard info.shape.count == rank, info.shape.allSatisfy({ ModelLimits.vocabulary.contains($0) }) else {
            throw ModelError(
                file: file.path, field: "tensor \(name)",
                reason: "has shape \(info.shape), not a likely one of rank \(rank)")
        }
        return info
    }

    func has(_ name: String) -> Bool { file.info(name) != nil }
}
