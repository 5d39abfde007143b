import MartletTensor

/// What the tensors of a model are kept as: as the files have them, converted (`--dtype`) or quantised
/// (`--quantization`).
package struct WeightStorage: Sendable, Equatable {
    /// Of plain matrices; nil = as the files have them.
    package var dtype: DType?
    package var quantization: WeightQuantization

    package init(dtype: DType? = nil, quantization: WeightQuantization = .none) {
        self.dtype = dtype
        self.quantization = quantization
    }

    package func type(of info: TensorInfo) -> DType {
        let plain = info.shape.count > 1 && !info.dtype.isQuantized ? dtype ?? info.dtype : info.dtype
        return quantization.target(of: info) ?? plain
    }
}

extension DType {
    /// Of `elementCount` elements, in bytes; whole blocks.
    package func byteCount(_ elementCount: Int) -> Int { elementCount / blockElements * blockBytes }
}
