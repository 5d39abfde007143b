import CMartletKernels
import MartletTensor

// MARK: - Activation functions

extension CPUBackend {
    package func siluMultiply(_ x: Activation<Storage>, into y: Activation<Storage>) {
        precondition(x.rows == y.rows && x.width == 2 * y.width, "siluMultiply: shapes disagree")
        parallelRows(x.rows, width: x.width) { rows in
            kernels.table.pointee.silu_multiply(
                x.row(rows.lowerBound), x.stride, y.row(rows.lowerBound), y.stride, rows.count, y.width)
        }
    }

    package func gelu(_ x: Activation<Storage>) {
        // An erfc costs as much as a dozen cheaper elements.
        parallelRows(x.rows, width: 12 * x.width) { rows in
            kernels.table.pointee.gelu(x.row(rows.lowerBound), x.stride, rows.count, x.width)
        }
    }
}
