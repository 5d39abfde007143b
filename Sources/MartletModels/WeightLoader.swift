import MartletTensor

/// Reads one model's tensors into a backend by their canonical names, counting bytes as they arrive.
package struct WeightLoader<B: Backend> {
    package let backend: B
    package let source: any WeightSource
    /// Storage type for plain (f32, f16, bf16) matrices; nil = as stored.
    package let dtype: DType?
    /// What plain matrices become instead.
    package let quantization: WeightQuantization
    /// Called after each tensor with the bytes it had in the file.
    package let loaded: (Int) -> Void

    package init(
        backend: B, source: any WeightSource, dtype: DType?, quantization: WeightQuantization = .none,
        loaded: @escaping (Int) -> Void = { _ in }
    ) {
        self.backend = backend
        self.source = source
        self.dtype = dtype
        self.quantization = quantization
        self.loaded = loaded
    }

    package func has(_ name: String) -> Bool { source.info(name) != nil }

    /// This loader over another source.
    func reading(_ source: any WeightSource) -> WeightLoader {
        WeightLoader(backend: backend, source: source, dtype: dtype, quantization: quantization, loaded: loaded)
    }

    /// The named tensors, whole, stacked by rows into one matrix.
    package func matrix(_ names: String...) throws -> B.Matrix {
        let infos = try names.map(info)
        let slices = infos.map { MatrixSlice($0, dtype: quantization.target(of: $0)) }
        let matrix = try backend.loadMatrix(slices, from: source, dtype: dtype)
        report(infos)
        return matrix
    }

    /// The named tensors, whole, one after the other as f32.
    package func vector(_ names: String...) throws -> B.Vector {
        let infos = try names.map(info)
        let vector = try backend.loadVector(infos.map { MatrixSlice($0) }, from: source)
        report(infos)
        return vector
    }

    private func info(_ name: String) throws -> TensorInfo {
        guard let info = source.info(name) else {
            throw WeightError(file: "checkpoint", tensor: name, reason: "is missing")
        }
        return info
    }

    private func report(_ infos: [TensorInfo]) {
        loaded(infos.reduce(0) { $0 + $1.rows * $1.rowBytes })
    }
}
