import MartletTensor

/// Reads one model's tensors into a backend by their canonical names, counting bytes as they arrive.
package struct WeightLoader<B: Backend> {
    package let backend: B
    package let source: any WeightSource
    /// Storage type for plain (f32, f16, bf16) matrices; nil = as stored.
    package let dtype: DType?
    /// What plain matrices become instead.
    package let quantization: WeightQuantization
    /// What of the model this rank holds; nil = all of it.
    package let shard: Shard?
    /// Called after each tensor with the bytes that this rank's part of it had in the file.
    package let loaded: (Int) -> Void

    package init(
        backend: B, source: any WeightSource, dtype: DType?, quantization: WeightQuantization = .none,
        shard: Shard? = nil, loaded: @escaping (Int) -> Void = { _ in }
    ) {
        self.shard = shard
        self.backend = backend
        self.source = source
        self.dtype = dtype
        self.quantization = quantization
        self.loaded = loaded
    }

    package func has(_ name: String) -> Bool { source.info(name) != nil }

    /// This loader over another source.
    func reading(_ source: any WeightSource) -> WeightLoader {
        WeightLoader(
            backend: backend, source: source, dtype: dtype, quantization: quantization, shard: shard, loaded: loaded)
    }

    /// This rank's slices of the named tensors, stacked by rows into one matrix.
    package func matrix(_ names: String...) throws -> B.Matrix {
        let infos = try names.map(info)
        let slices = infos.flatMap { info in
            self.slices(of: info).map { slice in
                var slice = slice
                slice.dtype = quantization.target(of: info)
                return slice
            }
        }
        let matrix = try backend.loadMatrix(slices, from: source, dtype: dtype)
        report(infos)
        return matrix
    }

    /// This rank's slices of the named tensors, one after the other as f32.
    package func vector(_ names: String...) throws -> B.Vector {
        let infos = try names.map(info)
        let vector = try backend.loadVector(infos.flatMap { slices(of: $0) }, from: source)
        report(infos)
        return vector
    }

    private func slices(of info: TensorInfo) -> [MatrixSlice] { shard?.slices(of: info) ?? [MatrixSlice(info)] }

    private func info(_ name: String) throws -> TensorInfo {
        guard let info = source.info(name) else {
            throw WeightError(file: "checkpoint", tensor: name, reason: "is missing")
        }
        return info
    }

    private func report(_ infos: [TensorInfo]) {
        let bytes = infos.reduce(0) { sum, info in
            slices(of: info).reduce(sum) { $0 + info.dtype.byteCount($1.elementCount) }
        }
        loaded(bytes)
    }
}
