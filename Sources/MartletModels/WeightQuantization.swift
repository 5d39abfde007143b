import MartletTensor

/// What the plain matrices of a checkpoint become while they are packed (`--quantization`). The one place that says
/// which tensor is stored as what; those of quantised types stay as their file has them.
package enum WeightQuantization: String, Sendable, CaseIterable {
    /// They stay plain.
    case none
    /// Blocks of 32 with 8 bits a weight and a scale: Q8_0, 8.5 bits.
    case int8
    /// Blocks of 32 with 4 bits a weight and a scale: Q4_0, 4.5 bits; what is sensitive as under `int8`.
    case int4

    /// The type that `info` is stored as; nil = as it is. Norms, biases and tables of positions stay, and so does a
    /// matrix whose rows are not whole blocks (the patch embedding's 1176 columns).
    package func target(of info: TensorInfo) -> DType? {
        guard self != .none, info.isMatrix, !info.dtype.isQuantized, info.columns % DType.q8_0.blockElements == 0 else {
            return nil
        }
        return self == .int4 && !Self.isSensitive(info.name) ? .q4_0 : .q8_0
    }

    /// The embedding is the first thing a token meets and the head the last; the tower's every error is shared by all
    /// tokens of a picture, and its coordinates; values are few rows that many heads read (SPEED.md: a third of the
    /// divergence, for 0.02 bits a weight of the 9B model).
    private static func isSensitive(_ name: String) -> Bool {
        name == TensorName.embedding || name == TensorName.head || name.hasPrefix(TensorName.visionPrefix)
            || name.hasSuffix(".v_proj.weight")
    }
}

extension TensorInfo {
    /// Whether the model multiplies with the tensor; else it is a norm, a bias or the table of positions.
    package var isMatrix: Bool { shape.count > 1 && !name.hasSuffix("position_embedding.weight") }
}
