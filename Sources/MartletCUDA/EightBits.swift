/// In what 8 bits many rows meet quantised weights. Both are rounded to them, each row with a scale of its own, for
/// tensor cores that multiply them at twice the rate of halves.
package enum EightBits: String, Sendable {
    /// Whole numbers, with exact sums: within 2e-2 of a product (relative L2) where no value of a row towers above the
    /// others.
    case int8
    /// Floats of 4 bits of exponent and 3 of fraction (E4M3), within 5e-2: for GPUs from compute capability 8.9 on.
    case fp8

    /// Compute capability, as `CUDADevice.architecture` counts it.
    package var leastArchitecture: Int { self == .int8 ? 80 : 89 }
}

extension EightBits {
    /// What rows are rounded to, and what their products add up to.
    var element: DenseProducts.Element { self == .int8 ? .i8 : .e4m3 }
    var sum: DenseProducts.Element { self == .int8 ? .i32 : .f32 }

    /// The kernels that round rows, and that scale sums.
    var quantize: KernelName.Stem { self == .int8 ? .quantizeInt8 : .quantizeFP8 }
    var scale: KernelName.Stem { self == .int8 ? .scaleInt32 : .scaleFloat32 }
}
