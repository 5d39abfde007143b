import CCUDA
import MartletTensor

// MARK: - Norms

extension CUDABackend {
    package func rmsNorm(
        _ x: Activation<Storage>, weight: Vector, epsilon: Float, into y: Activation<Storage>
    ) {
        precondition(x.rows == y.rows && x.width == y.width && weight.count == x.width, "rmsNorm: shapes disagree")
        precondition(x.dtype == .f32, "rmsNorm: of f32")
        perform {
            try launch(
                KernelName(.rmsNorm, y.dtype), grid: (x.rows, 1, 1), threads: 256, x.address, x.kernelStride,
                weight.address, epsilon, y.address, y.kernelStride, x.kernelWidth)
        }
    }

    package func addRMSNorm(_ y: Activation<Storage>, weight: Vector, epsilon: Float, to x: Activation<Storage>) {
        precondition(x.rows == y.rows && x.width == y.width && weight.count == x.width, "addRMSNorm: shapes disagree")
        precondition(x.dtype == .f32 && y.dtype == .f32, "addRMSNorm: sums are f32")
        perform {
            try launch(
                KernelName(.addRMSNorm), grid: (x.rows, 1, 1), threads: 256, y.address, y.kernelStride, weight.address,
                epsilon, x.address, x.kernelStride, x.kernelWidth)
        }
    }

    package func addBranch(
        _ y: Activation<Storage>, norm: Vector?, to x: Activation<Storage>, next: Vector, epsilon: Float,
        into z: Activation<Storage>
    ) {
        precondition(x.rows == y.rows && x.width == y.width, "addBranch: shapes disagree")
        precondition(x.rows == z.rows && x.width == z.width, "addBranch: shapes disagree")
        precondition(norm.map { $0.count == x.width } ?? true, "addBranch: a norm of another width")
        precondition(next.count == x.width, "addBranch: a norm of another width")
        precondition(x.dtype == .f32 && y.dtype == .f32, "addBranch: sums are f32")
        perform {
            try launch(
                KernelName(.addBranch, z.dtype), grid: (x.rows, 1, 1), threads: 256, y.address, y.kernelStride,
                norm?.address ?? 0, x.address, x.kernelStride, next.address, epsilon, z.address, z.kernelStride,
                x.kernelWidth)
        }
    }

    package func layerNorm(
        _ x: Activation<Storage>, weight: Vector, bias: Vector, epsilon: Float, into y: Activation<Storage>
    ) {
        precondition(x.rows == y.rows && x.width == y.width, "layerNorm: shapes disagree")
        precondition(weight.count == x.width && bias.count == x.width, "layerNorm: weight or bias of another width")
        precondition(x.dtype == .f32, "layerNorm: of f32")
        perform {
            try launch(
                KernelName(.layerNorm, y.dtype), grid: (x.rows, 1, 1), threads: 256, x.address, x.kernelStride,
                weight.address, bias.address, epsilon, y.address, y.kernelStride, x.kernelWidth)
        }
    }
}
