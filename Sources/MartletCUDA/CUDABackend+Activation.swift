import CCUDA
import MartletTensor

// MARK: - Activation functions

extension CUDABackend {
    package func siluMultiply(_ x: Activation<Storage>, into y: Activation<Storage>) {
        precondition(x.rows == y.rows && x.width == 2 * y.width, "siluMultiply: shapes disagree")
        precondition(x.dtype == y.dtype, "siluMultiply: \(x.dtype) into \(y.dtype)")
        perform {
            try launch(
                KernelName(.siluMultiply, x.dtype), grid: Self.elements(y), threads: 256, x.address, x.kernelStride,
                y.address, y.kernelStride, y.kernelWidth)
        }
    }

    package func gelu(_ x: Activation<Storage>) {
        precondition(x.dtype == .f32, "gelu: of f32")
        perform {
            try launch(
                KernelName(.gelu), grid: Self.elements(x), threads: 256, x.address, x.kernelStride, x.kernelWidth)
        }
    }
}
