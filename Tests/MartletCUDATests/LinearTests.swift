import MartletCPU
import MartletCUDA
import MartletTensor
import MartletTestSupport
import Testing

/// Products with weights of every format, by every way that rows and shapes choose.
@Suite struct LinearTests {
    /// Rows that our kernels take in one tile, in several, and that the library takes.
    static let rowCounts = [1, 3, 9, 33, 70]

    private struct Weight {
        let gpu: CUDABackend.Matrix
        let cpu: CPUBackend.Matrix
    }

    private func load(
        _ pair: BackendPair, _ tensors: [StoredTensor], dtype: DType? = nil
    ) throws -> Weight {
        let source = MemoryWeightSource(tensors)
        let slices = tensors.map { MatrixSlice($0.info) }
        return Weight(
            gpu: try pair.gpu.loadMatrix(slices, from: source, dtype: dtype),
            cpu: try pair.cpu.loadMatrix(slices, from: source, dtype: dtype))
    }

    private func expectProducts(
        _ pair: BackendPair, _ weight: Weight, rowCounts: [Int] = rowCounts, within bound: Float, _ what: String
    ) throws {
        let bias = try pair.vector(weight.cpu.rows)
        for (rows, role) in rowCounts.flatMap({ [($0, ActivationRole.exact), ($0, .operand)] }) {
            let x = try pair.rows(rows, weight.cpu.columns, padding: rows % 2, role: role)
            let y = try pair.empty(rows, weight.cpu.rows, padding: 3, role: role)
            let biases = rows == 3 ? nil : bias
            pair.gpu.linear(x.gpu, weight.gpu, bias: biases?.gpu, into: y.gpu)
            pair.cpu.linear(x.cpu, weight.cpu, bias: biases?.cpu, into: y.cpu)
            try pair.expectNear(y, within: bound, "\(what), \(rows) rows, \(role)")
        }
    }

    @Test(arguments: DType.operands, DType.allCases) func everyFormat(_ type: DType, _ dtype: DType) throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(type, on: gpus)
            for (outputs, columns) in [(37, 512), (3, 256)] {
                let weight = try load(pair, [StoredTensor("w", dtype: dtype, rows: outputs, columns: columns)])
                let isRounded = type != .f32 && !dtype.isQuantized
                #expect(weight.gpu.dtypes == [isRounded ? type : dtype])
                try expectProducts(
                    pair, weight, rowCounts: columns == 256 ? [9] : Self.rowCounts, within: type.bound,
                    "\(dtype) [\(outputs), \(columns)]")
            }
        }
    }

    /// Columns that no vector load divides: a patch embedding of a small patch.
    @Test(arguments: DType.operands) func oddColumns(_ type: DType) throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(type, on: gpus)
            for dtype in [DType.f32, .f16, .bf16] {
                let weight = try load(pair, [StoredTensor("w", dtype: dtype, rows: 19, columns: 37)])
                try expectProducts(pair, weight, within: type.bound, "\(dtype)")
            }
        }
    }

    /// Gate and up, or query, key and value, of types of their own in one matrix.
    @Test(arguments: DType.operands) func segmentsOfSeveralTypes(_ type: DType) throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(type, on: gpus)
            let weight = try load(
                pair,
                [
                    StoredTensor("q", dtype: .q4_K, rows: 33, columns: 256),
                    StoredTensor("k", dtype: .q4_K, rows: 7, columns: 256, seed: 2),
                    StoredTensor("v", dtype: .q6_K, rows: 9, columns: 256, seed: 3),
                    StoredTensor("f", dtype: .f32, rows: 5, columns: 256, seed: 4),
                ])
            #expect(weight.gpu.dtypes == [.q4_K, .q6_K, type == .f32 ? .f32 : type])
            try expectProducts(pair, weight, within: type.bound, "segments")
        }
    }

    /// `--quantization` while loading: the CPU's blocks.
    @Test(arguments: [DType.q8_0, .q4_0]) func quantisedWhileLoading(_ target: DType) throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(.f16, on: gpus)
            let weight = try load(pair, [StoredTensor("w", dtype: .bf16, rows: 21, columns: 96)], dtype: target)
            #expect(weight.gpu.dtypes == [target])
            try expectProducts(pair, weight, within: DType.f16.bound, "\(target)")
        }
    }

    /// Slices by rows and columns, as ranks cut them.
    @Test func slices() throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(.f16, on: gpus)
            for dtype in [DType.q8_0, .q4_K, .bf16] {
                let tensor = StoredTensor("w", dtype: dtype, rows: 40, columns: 1024)
                let source = MemoryWeightSource([tensor])
                let slices = [
                    MatrixSlice(name: "w", rows: 3..<30, columns: 256..<768),
                    MatrixSlice(name: "w", rows: 32..<33, columns: 512..<1024),
                ]
                let weight = Weight(
                    gpu: try pair.gpu.loadMatrix(slices, from: source, dtype: nil),
                    cpu: try pair.cpu.loadMatrix(slices, from: source, dtype: nil))
                try expectProducts(pair, weight, rowCounts: [2], within: DType.f16.bound, "\(dtype)")
            }
        }
    }

    /// A value of the file that the operands' type does not hold is said by name, not kept as an infinity.
    @Test func valuesTooLargeAreRefused() throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f16)
            let info = TensorInfo(name: "w", dtype: .f32, shape: [2, 4])
            let values: [Float] = [1, 2, 3, 4, 5, 70000, 7, 8]
            let source = MemoryWeightSource([StoredTensor(info, bytes: values.flatMap { DType.f32.plainBytes($0) })])
            #expect(
                throws: WeightError(
                    file: "checkpoint", tensor: "w", reason: "row 1 has a value too large for F16")
            ) { try gpu.loadMatrix([MatrixSlice(info)], from: source, dtype: nil) }
            // In bf16 it fits, and the backend goes on.
            _ = try gpu.beside(operandType: .bf16).loadMatrix([MatrixSlice(info)], from: source, dtype: nil)
        }
    }

    @Test(arguments: DType.allCases) func embeddings(_ dtype: DType) throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(.f32, on: gpus)
            let table = try load(pair, [StoredTensor("w", dtype: dtype, rows: 11, columns: 256)])
            let y = try pair.empty(5, 256, padding: 4)
            pair.gpu.embed([100, 110, 99, 111, 105], table: table.gpu, firstRow: 100, into: y.gpu)
            pair.cpu.embed([100, 110, 99, 111, 105], table: table.cpu, firstRow: 100, into: y.cpu)
            try pair.expectNear(y, within: 0, "\(dtype)")
        }
    }

    @Test(arguments: DType.operands) func matricesOfValues(_ type: DType) throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(type, on: gpus)
            var generator = SeededGenerator(seed: 8)
            let values = generator.floats(6 * 24)
            let weight = Weight(
                gpu: try pair.gpu.makeMatrix(values, rows: 6, columns: 24),
                cpu: try pair.cpu.makeMatrix(values, rows: 6, columns: 24))
            try expectProducts(pair, weight, rowCounts: [4], within: type.bound, "values")
        }
    }
}
