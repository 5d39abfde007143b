import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletCUDA

/// Products of many rows in 8 bits: rounded as the formula says, to the bit, and near the products of what was there.
@Suite struct EightBitTests {
    static let formats: [EightBits] = [.int8, .fp8]
    static let dtypes: [DType] = [.f16, .bf16] + DType.allCases.filter(\.isQuantized)

    /// A row as 8 bits, by the plainest reading.
    private struct QuantizedRow {
        let bytes: [UInt8]
        let scale: Float
        /// What the bytes stand for, without the scale.
        let steps: [Float]

        init(_ row: [Float], as format: EightBits) {
            let largest: Float = format == .int8 ? 127 : 448
            let greatest = row.reduce(0) { max($0, abs($1)) }
            scale = greatest / largest
            let inverse = greatest > 0 ? largest / greatest : 0
            bytes = row.map { Self.nearest($0 * inverse, format) }
            steps = bytes.map { Self.value($0, format) }
        }

        static func value(_ byte: UInt8, _ format: EightBits) -> Float {
            guard format == .fp8 else { return Float(Int8(bitPattern: byte)) }
            let exponent = Int(byte >> 3 & 15), fraction = Float(byte & 7)
            let size =
                exponent == 0
                ? fraction / 512 : Float(sign: .plus, exponent: exponent - 10, significand: 8 + fraction)
            return byte & 128 == 0 ? size : -size
        }

        private static let sizes = (0..<UInt8(127)).map { value($0, .fp8) }

        /// The nearest of all that there are; of two the one whose last bit is 0.
        private static func nearest(_ x: Float, _ format: EightBits) -> UInt8 {
            guard format == .fp8 else { return UInt8(bitPattern: Int8(x.rounded(.toNearestOrEven))) }
            var best = 0
            for code in 1..<sizes.count {
                let (now, next) = (abs(sizes[best] - abs(x)), abs(sizes[code] - abs(x)))
                if next < now || (next == now && code % 2 == 0) { best = code }
            }
            return UInt8(best) | (x.sign == .minus ? 128 : 0)
        }
    }

    private func matrix(
        _ tensor: StoredTensor, on gpu: CUDABackend
    ) throws -> (matrix: CUDABackend.Matrix, rows: [[Float]]) {
        let (rows, columns) = (tensor.info.shape[0], tensor.info.shape[1])
        let matrix = try gpu.loadMatrix([MatrixSlice(tensor.info)], from: MemoryWeightSource(tensor), dtype: nil)
        let values = tensor.values
        return (matrix, (0..<rows).map { Array(values[$0 * columns..<($0 + 1) * columns]) })
    }

    /// Rows `first` and on, by the kernel.
    private func quantized(
        _ matrix: CUDABackend.Matrix, as format: EightBits, first: Int, count: Int, on gpu: CUDABackend
    ) throws -> (bytes: [UInt8], scales: [Float]) {
        let segment = matrix.segments[0], columns = matrix.columns
        let bytes = try DeviceValues([UInt8](repeating: 0x5A, count: count * columns), on: gpu)
        let scales = try DeviceValues([Float](repeating: -1, count: count), on: gpu)
        try gpu.launch(
            KernelName(format.quantize, segment.dtype), grid: (count, 1, 1),
            threads: 256, matrix.address(segment), Int32(matrix.rows), Int32(columns), Int32(first), Int32(columns),
            bytes.address, scales.address)
        return (try bytes.read(), try scales.read())
    }

    @Test(arguments: formats, dtypes) func rowsOfEveryFormat(_ format: EightBits, _ dtype: DType) throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(dtype.isQuantized ? .bf16 : dtype)
            let columns = 3 * max(dtype.blockElements, 16), first = 2, count = 4
            let (matrix, rows) = try matrix(StoredTensor("w", dtype: dtype, rows: 7, columns: columns), on: gpu)
            let found = try quantized(matrix, as: format, first: first, count: count, on: gpu)
            let truth = rows[first..<first + count].map { QuantizedRow($0, as: format) }
            #expect(found.bytes == truth.flatMap(\.bytes))
            #expect(found.scales == truth.map(\.scale))
        }
    }

    /// Every value of a type, what lies half between two, and a little to both sides of that.
    @Test(arguments: formats) func everyValue(_ format: EightBits) throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.bf16)
            let largest: UInt8 = format == .int8 ? 127 : 126
            let steps = (0...largest).map { QuantizedRow.value($0, format) }
            let middles = zip(steps, steps.dropFirst()).map { ($0 + $1) / 2 }
            let little: Float = 1 / 128
            let beside = middles.map { $0 - $0 * little } + middles.map { $0 + $0 * little }
            // The greatest is the type's own, and the scale 1.
            let sizes = (steps + middles + beside).filter { $0 <= steps[steps.count - 1] }
            var row = sizes.flatMap { [$0, -$0] }
            row += [Float](repeating: 0, count: (16 - row.count % 16) % 16)
            let info = TensorInfo(name: "w", dtype: .bf16, shape: [1, row.count])
            let tensor = StoredTensor(info, bytes: row.flatMap { DType.bf16.plainBytes($0) })
            let (matrix, rows) = try matrix(tensor, on: gpu)
            let found = try quantized(matrix, as: format, first: 0, count: 1, on: gpu)
            #expect(found.scales == [1])
            #expect(found.bytes == QuantizedRow(rows[0], as: format).bytes)
        }
    }

    /// A row of zeros stays one; one with what is no number says so by its scale.
    @Test(arguments: formats) func oddRows(_ format: EightBits) throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f16)
            let special: [Float] = [0, .nan, .infinity, -.infinity, 1]
            let rows = special.map { [Float](repeating: 0, count: 31) + [$0] }
            let bytes = rows.joined().flatMap { DType.f16.plainBytes($0) }
            let memory = try DeviceValues(bytes, on: gpu)
            let result = try DeviceValues([UInt8](repeating: 0x5A, count: rows.count * 32), on: gpu)
            let scales = try DeviceValues([Float](repeating: -1, count: rows.count), on: gpu)
            try gpu.launch(
                KernelName(format.quantize, .f16), grid: (rows.count, 1, 1),
                threads: 256, memory.address, Int32(rows.count), Int32(32), Int32(0), Int32(32), result.address,
                scales.address)
            let found = try scales.read()
            #expect(found[0] == 0 && found[1].isNaN && found[2].isNaN && found[3].isNaN)
            #expect(found[4] == 1 / Float(format == .int8 ? 127 : 448))
            #expect(try result.read().prefix(32) == ArraySlice([UInt8](repeating: 0, count: 32)))
        }
    }

    /// y = x W^T + bias of rows that few products take and that many do, outputs some at a time: what the rounded rows
    /// come to, and near what the rows themselves do. Outputs that are no multiple of 16 are multiplied as operands.
    @Test(arguments: formats, [DType.f16, .bf16])
    func products(_ format: EightBits, _ type: DType) throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(type, eightBits: format)
            // 32 of 80 outputs at a time.
            gpu.eightBitSumBytes = 40 * 70 * 4
            for (dtype, columns) in [(DType.q8_0, 96), (.q4_K, 512)] {
                let (matrix, weights) = try matrix(
                    StoredTensor("w", dtype: dtype, rows: 80, columns: columns), on: gpu)
                var generator = SeededGenerator(seed: 5)
                let biases = generator.floats(80)
                let info = TensorInfo(name: "b", dtype: .f32, shape: [80])
                let bias = try gpu.loadVector(
                    [MatrixSlice(info)],
                    from: MemoryWeightSource(StoredTensor(info, bytes: biases.flatMap { DType.f32.plainBytes($0) })))
                let x = try gpu.makeActivation(rows: 70, width: columns + 8, role: .operand).columns(0..<columns)
                gpu.write(generator.floats(70 * columns), to: x)
                let y = try gpu.makeActivation(rows: 70, width: 83).columns(1..<81)
                gpu.linear(x, matrix, bias: bias, into: y)
                let values = try gpu.read(x), found = try gpu.read(y)
                let w = weights.map { QuantizedRow($0, as: format) }
                var error = 0.0, size = 0.0, worst: Float = 0
                for row in 0..<70 {
                    let exact = Array(values[row * columns..<(row + 1) * columns])
                    let q = QuantizedRow(exact, as: format)
                    for output in 0..<80 {
                        var sum: Float = 0, magnitude: Float = 0, truth = Double(biases[output])
                        for k in 0..<columns {
                            let term = q.steps[k] * w[output].steps[k]
                            sum += term
                            magnitude += abs(term)
                            truth += Double(exact[k]) * Double(weights[output][k])
                        }
                        let scale = q.scale * w[output].scale
                        let expected = sum * scale + biases[output]
                        let result = found[row * 80 + output]
                        worst = max(worst, abs(result - expected) / (magnitude * scale))
                        error += (Double(result) - truth) * (Double(result) - truth)
                        size += truth * truth
                    }
                }
                // Whole numbers have exact sums; others are added in another order.
                #expect(worst <= (format == .int8 ? 0 : 1e-6), "\(dtype)")
                let distance = (error / size).squareRoot()
                #expect(distance > 1e-3 && distance < (format == .int8 ? 2e-2 : 5e-2), "\(dtype): \(distance)")
            }
        }
    }

    /// A row's bits are its own, whatever rows are beside it, and a narrower result is the rounded one.
    @Test(arguments: formats) func rowsAreTheirOwn(_ format: EightBits) throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.bf16, eightBits: format)
            let (matrix, _) = try matrix(StoredTensor("w", dtype: .q4_0, rows: 32, columns: 64), on: gpu)
            var generator = SeededGenerator(seed: 6)
            let x = try gpu.makeActivation(rows: 90, width: 64)
            gpu.write(generator.floats(90 * 64), to: x)
            let y = try gpu.makeActivation(rows: 90, width: 32), some = try gpu.makeActivation(rows: 70, width: 32)
            let short = try gpu.makeActivation(rows: 90, width: 32, role: .operand)
            gpu.linear(x, matrix, bias: nil, into: y)
            gpu.linear(x.rows(20..<90), matrix, bias: nil, into: some)
            gpu.linear(x, matrix, bias: nil, into: short)
            let all = try gpu.read(y)
            #expect(try gpu.read(some) == Array(all[20 * 32..<90 * 32]))
            #expect(try gpu.read(short) == KernelElement.bf16.rounded(all))
        }
    }

    /// Few rows, outputs or columns that come in no pieces of 16, plain weights, and what stands beside: operands.
    @Test(arguments: formats) func whatIsNotForEightBits(_ format: EightBits) throws {
        try EmulatedGPUs.run { gpus in
            let bytes = try gpus.backend(.bf16, eightBits: format), plain = try gpus.backend(.bf16)
            var generator = SeededGenerator(seed: 7)
            for (dtype, rows, outputs, beside) in [
                (DType.q8_0, 64, 32, false), (.q8_0, 70, 37, false), (.bf16, 70, 32, false), (.q8_0, 70, 32, true),
            ] {
                let tensor = StoredTensor("w", dtype: dtype, rows: outputs, columns: 64)
                let values = generator.floats(rows * 64)
                let found = try [beside ? bytes.beside(operandType: .bf16) : bytes, plain].map { gpu in
                    let x = try gpu.makeActivation(rows: rows, width: 64, role: .operand)
                    let y = try gpu.makeActivation(rows: rows, width: outputs)
                    gpu.write(values, to: x)
                    gpu.linear(x, try matrix(tensor, on: gpu).matrix, bias: nil, into: y)
                    return try gpu.read(y)
                }
                #expect(found[0] == found[1], "\(dtype), \(rows) rows, \(outputs) outputs, \(beside)")
            }
        }
    }
}
