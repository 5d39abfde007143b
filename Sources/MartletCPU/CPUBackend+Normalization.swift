import CMartletKernels
import MartletTensor

// MARK: - Norms

extension CPUBackend {
    package func rmsNorm(
        _ x: Activation<Storage>, weight: Vector, epsilon: Float, into y: Activation<Storage>
    ) {
        precondition(x.rows == y.rows && x.width == y.width && weight.count == x.width, "rmsNorm: shapes disagree")
        parallelRows(x.rows, width: x.width) { rows in
            kernels.table.pointee.rms_norm(
                x.row(rows.lowerBound), x.stride, weight.start, epsilon, y.row(rows.lowerBound), y.stride, rows.count,
                x.width)
        }
    }

    package func addRMSNorm(_ y: Activation<Storage>, weight: Vector, epsilon: Float, to x: Activation<Storage>) {
        precondition(x.rows == y.rows && x.width == y.width && weight.count == x.width, "addRMSNorm: shapes disagree")
        parallelRows(x.rows, width: x.width) { rows in
            kernels.table.pointee.add_rms_norm(
                y.row(rows.lowerBound), y.stride, weight.start, epsilon, x.row(rows.lowerBound), x.stride, rows.count,
                x.width)
        }
    }

    package func layerNorm(
        _ x: Activation<Storage>, weight: Vector, bias: Vector, epsilon: Float, into y: Activation<Storage>
    ) {
        precondition(x.rows == y.rows && x.width == y.width, "layerNorm: shapes disagree")
        precondition(weight.count == x.width && bias.count == x.width, "layerNorm: weight or bias of another width")
        parallelRows(x.rows, width: x.width) { rows in
            kernels.table.pointee.layer_norm(
                x.row(rows.lowerBound), x.stride, weight.start, bias.start, epsilon, y.row(rows.lowerBound), y.stride,
                rows.count, x.width)
        }
    }

    /// Runs `body` on ranges of rows large enough to be worth a thread; `width` is the cost of a row in elements.
    func parallelRows(_ rows: Int, width: Int, _ body: (Range<Int>) -> Void) {
        let elementsPerChunk = 16384
        pool.parallel(rows, grain: max(1, elementsPerChunk / max(width, 1)), body)
    }
}
