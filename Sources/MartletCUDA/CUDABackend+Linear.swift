import CCUDA
import MartletTensor

// MARK: - Products

extension CUDABackend {
    /// Rows to which the weights' own products are faster than the library's: of quantised weights, and of others.
    private static let quantizedRows = 64, plainRows = 16
    /// Of dense rows that are made of others at a time.
    static let denseBytes = 64 << 20

    package func linear(_ x: Activation<Storage>, _ weight: Matrix, bias: Vector?, into y: Activation<Storage>) {
        precondition(x.rows == y.rows && x.width == weight.columns && y.width == weight.rows, """
            [\(x.rows), \(x.width)] times [\(weight.rows), \(weight.columns)] into [\(y.rows), \(y.width)]
            """)
        precondition(bias.map { $0.count == weight.rows } ?? true, "bias of another size")
        precondition(y.dtype == .f32 || y.dtype == operandType, "a product of \(operandType) into \(y.dtype)")
        guard x.rows <= Self.gridRows else {
            return Self.strips(x.rows).forEach { linear(x.rows($0), weight, bias: bias, into: y.rows($0)) }
        }
        guard x.rows > 0 else { return }
        perform {
            let operand = try operand(x)
            var bytes: QuantizedRows?
            for segment in weight.segments where !segment.rows.isEmpty {
                let part = y.columns(segment.rows)
                let biases = bias.map { $0.address + UInt64(segment.rows.lowerBound * MemoryLayout<Float>.stride) }
                let limit = segment.dtype.isQuantized ? Self.quantizedRows : Self.plainRows
                // Rows are made dense in eights.
                let isMixed = segment.dtype != operandType && weight.columns % 8 != 0
                if x.rows <= limit || isMixed {
                    try multiply(operand, weight, segment, bias: biases, into: part)
                } else if let format = eightBitFormat(for: segment, of: weight) {
                    let rows = try bytes ?? quantized(operand, width: x.width, as: format)
                    bytes = rows
                    try multiply(rows, weight, segment, as: format, bias: biases, into: part)
                } else {
                    try multiplyDense(operand, weight, segment, into: part)
                    if let biases { try addBias(biases, to: part) }
                }
            }
        }
    }

    /// Of few rows in one kernel, which never writes the gates; of more by `linear` and `siluMultiply`.
    package func gatedLinear(
        _ x: Activation<Storage>, _ weight: Matrix, through gateUp: Activation<Storage>, into y: Activation<Storage>
    ) {
        precondition(2 * y.width == weight.rows && x.width == weight.columns && x.rows == y.rows, "gatedLinear: shapes")
        let isFew = x.rows <= 8 && weight.columns % 8 == 0 && x.hasWholeVectors
        guard isFew, operandType != .f32, x.dtype == operandType, y.dtype == operandType,
            let segment = weight.segments.first, segment.rows.count == weight.rows,
            segment.dtype.isQuantized || segment.dtype == operandType
        else {
            linear(x, weight, bias: nil, into: gateUp)
            return siluMultiply(gateUp, into: y)
        }
        perform {
            try launch(
                KernelName(.multiplyGated, segment.dtype, operandType),
                grid: ((x.rows + 7) / 8, (y.width + 15) / 16, 1), threads: 256, weight.address(segment),
                Int32(y.width), Int32(weight.columns), x.address, x.kernelStride, Int32(x.rows), y.address,
                y.kernelStride)
        }
    }

    /// Rows of operands in memory.
    struct Operand {
        let address: CUdeviceptr
        let dtype: DType
        let rows: Int
        /// In elements.
        let stride: Int

        func library(width: Int) -> DenseProducts.Rows {
            DenseProducts.Rows(
                address: address, type: DenseProducts.Element(dtype), count: rows, width: width, stride: stride)
        }
    }

    /// The rows as products read them: where they lie, or narrowed.
    private func operand(_ x: Activation<Storage>) throws -> Operand {
        guard x.dtype != operandType else {
            return Operand(address: x.address, dtype: x.dtype, rows: x.rows, stride: x.stride)
        }
        precondition(x.dtype == .f32, "a product of \(x.dtype)")
        // Rows begin where 16 bytes can be read.
        let stride = (x.width + 7) / 8 * 8
        let narrow = try scratch.address(.operands, bytes: x.rows * stride * operandType.blockBytes)
        try launch(
            KernelName(.narrow, operandType), grid: Self.elements(x), threads: 256, x.address, x.kernelStride, narrow,
            Int32(stride), x.kernelWidth)
        return Operand(address: narrow, dtype: operandType, rows: x.rows, stride: stride)
    }

    /// By our own kernels: on the tensor cores, where types and shapes are those that they take.
    private func multiply(
        _ x: Operand, _ weight: Matrix, _ segment: Matrix.Segment, bias: CUdeviceptr?, into y: Activation<Storage>
    ) throws {
        let suits = operandType != .f32 && weight.columns % 8 == 0 && x.stride % 8 == 0 && x.address % 16 == 0
        let rowsAtOnce = !suits || x.rows <= 8 ? 8 : 32
        let outputsAtOnce = !suits ? 8 : rowsAtOnce == 8 ? 16 : 32
        try launch(
            suits
                ? KernelName(.multiply, segment.dtype, operandType, sizes: (UInt8(rowsAtOnce), nil))
                : KernelName(.multiplyPlain, segment.dtype, operandType),
            grid: (
                (x.rows + rowsAtOnce - 1) / rowsAtOnce, (segment.rows.count + outputsAtOnce - 1) / outputsAtOnce, 1
            ),
            threads: 256, weight.address(segment), Int32(segment.rows.count), Int32(weight.columns), x.address,
            Int32(x.stride), Int32(x.rows), bias ?? 0, y.address, y.kernelStride, Int32(y.dtype == .f32 ? 0 : 1))
    }

    /// By the library, the segment made dense where it is not.
    private func multiplyDense(
        _ x: Operand, _ weight: Matrix, _ segment: Matrix.Segment, into y: Activation<Storage>
    ) throws {
        let address = weight.address(segment), columns = weight.columns
        guard segment.dtype != operandType else {
            return try products.multiply(x.library(width: columns), by: address, into: y.library)
        }
        let rowBytes = columns * operandType.blockBytes
        let strip = min(segment.rows.count, max(1, Self.denseBytes / rowBytes))
        let dense = try scratch.address(.weights, bytes: strip * rowBytes)
        for first in stride(from: 0, to: segment.rows.count, by: strip) {
            let rows = first..<min(first + strip, segment.rows.count)
            try launch(
                KernelName(.dequantize, segment.dtype, operandType), grid: (rows.count, 1, 1), threads: 256, address,
                Int32(segment.rows.count), Int32(columns), Int32(first), dense)
            try products.multiply(x.library(width: columns), by: dense, into: y.columns(rows).library)
        }
    }

    private func addBias(_ bias: CUdeviceptr, to y: Activation<Storage>) throws {
        try launch(
            KernelName(.addBias, y.dtype), grid: Self.elements(y), threads: 256, bias, y.address, y.kernelStride,
            y.kernelWidth)
    }
}

extension Activation where Storage == CUDABackend.Storage {
    fileprivate var library: DenseProducts.Rows {
        DenseProducts.Rows(
            address: address, type: DenseProducts.Element(dtype), count: rows, width: width, stride: stride)
    }
}
