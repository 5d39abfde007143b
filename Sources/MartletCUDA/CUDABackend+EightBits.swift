import CCUDA
import MartletTensor

// MARK: - Products in 8 bits

extension CUDABackend {
    /// What a product of many rows with the segment is to be made in; nil: in operands.
    func eightBitFormat(for segment: Matrix.Segment, of weight: Matrix) -> EightBits? {
        // The library takes rows and outputs in pieces of 16 bytes.
        let suits = weight.columns % 16 == 0 && segment.rows.count % 16 == 0
        return operandType != .f32 && segment.dtype.isQuantized && suits ? eightBits : nil
    }

    /// Rows of 8 bits, dense, and the scale of each.
    struct QuantizedRows {
        let rows: DenseProducts.Rows
        let scales: CUdeviceptr
    }

    /// All rows of `x`.
    func quantized(_ x: Operand, width: Int, as format: EightBits) throws -> QuantizedRows {
        try quantized(
            at: x.address, of: x.dtype, outputs: x.rows, stride: x.stride, 0..<x.rows, width: width, as: format,
            use: .quantizedOperands)
    }

    /// y = x w^T + bias, some outputs at a time.
    func multiply(
        _ x: QuantizedRows, _ weight: Matrix, _ segment: Matrix.Segment, as format: EightBits, bias: CUdeviceptr?,
        into y: Activation<Storage>
    ) throws {
        let count = segment.rows.count, columns = weight.columns
        let sumBytes = x.rows.count * MemoryLayout<Int32>.stride
        let most = min(Self.denseBytes / columns, eightBitSumBytes / sumBytes)
        let strip = min(count, max(16, most / 16 * 16))
        let sums = DenseProducts.Rows(
            address: try scratch.address(.sums, bytes: strip * sumBytes),
            type: format.sum, count: x.rows.count, width: strip, stride: strip)
        for first in stride(from: 0, to: count, by: strip) {
            let outputs = first..<min(first + strip, count)
            let w = try quantized(
                at: weight.address(segment), of: segment.dtype, outputs: count, stride: columns, outputs,
                width: columns, as: format, use: .weights)
            try products.multiply(x.rows, by: w.rows.address, into: sums.first(outputs.count))
            let part = y.columns(outputs)
            try launch(
                KernelName(format.scale, y.dtype), grid: Self.elements(part), threads: 256, sums.address, Int32(strip),
                x.scales, w.scales,
                bias.map { $0 + UInt64(first * MemoryLayout<Float>.stride) } ?? 0, part.address, part.kernelStride,
                part.kernelWidth)
        }
    }

    /// Some rows of a matrix [outputs, stride] of type `dtype`.
    private func quantized(
        at address: CUdeviceptr, of dtype: DType, outputs: Int, stride: Int, _ rows: Range<Int>, width: Int,
        as format: EightBits, use: ScratchMemory.Use
    ) throws -> QuantizedRows {
        // Scales begin where the library's alignments end.
        let bytes = (rows.count * width + 255) / 256 * 256
        let start = try scratch.address(use, bytes: bytes + rows.count * MemoryLayout<Float>.stride)
        let scales = start + UInt64(bytes)
        try launch(
            KernelName(format.quantize, dtype), grid: (rows.count, 1, 1), threads: 256, address, Int32(outputs),
            Int32(stride), Int32(rows.lowerBound), Int32(width), start, scales)
        let rows = DenseProducts.Rows(
            address: start, type: format.element, count: rows.count, width: width, stride: width)
        return QuantizedRows(rows: rows, scales: scales)
    }
}

extension DenseProducts.Rows {
    /// The first `width` columns.
    fileprivate func first(_ width: Int) -> DenseProducts.Rows {
        DenseProducts.Rows(address: address, type: type, count: count, width: width, stride: stride)
    }
}
