import CCUDA
import CUDAEmulation
import Testing

/// That cuBLASLt's products are sums, by columns, and that it takes no argument that the library would refuse.
@Suite struct EmulatedProductTests {
    struct Shape: Sendable, CustomStringConvertible {
        let rows, columns, depth: Int
        var isTransposedA = false, isTransposedB = false, hasBias = false
        var type = CUDA_R_32F, result = CUDA_R_32F

        var description: String {
            "\(rows)x\(columns)x\(depth) \(isTransposedA) \(isTransposedB) \(type.rawValue) \(result.rawValue)"
        }
    }

    private static func narrowed(_ value: Float, _ type: cudaDataType) -> [UInt8] {
        switch type {
        case CUDA_R_16F: withUnsafeBytes(of: Float16(value).bitPattern, Array.init)
        case CUDA_R_16BF: withUnsafeBytes(of: UInt16(value.bitPattern >> 16), Array.init)
        default: withUnsafeBytes(of: value, Array.init)
        }
    }

    private static func widened(_ bytes: ArraySlice<UInt8>, _ type: cudaDataType) -> Float {
        let bits = bytes.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        switch type {
        case CUDA_R_16F: return Float(Float16(bitPattern: UInt16(bits)))
        case CUDA_R_16BF: return Float(bitPattern: bits << 16)
        default: return Float(bitPattern: bits)
        }
    }

    /// Runs one product of small integers; gives D, or the status of the call that refused it.
    private func multiply(
        _ shape: Shape, on device: EmulatedDevice, shift: Int = 0, alignment: UInt32 = 256
    ) throws -> (cublasStatus_t, [Float], expected: [Float]) {
        let blas = device.cuda.cublaslt, (m, n, k) = (shape.rows, shape.columns, shape.depth)
        let a: [Float] = (0..<m * k).map { Float($0 * 5 % 7 - 3) }
        let b: [Float] = (0..<k * n).map { Float($0 * 3 % 5 - 2) }
        let bias = (0..<m).map { Float($0 % 4) }
        let resultWidth = shape.result == CUDA_R_32F ? 4 : 2
        let leadingA = (shape.isTransposedA ? k : m) + 3, leadingB = (shape.isTransposedB ? n : k) + 1, leadingD = m + 2
        func stored(_ values: [Float], _ rows: Int, _ columns: Int, _ leading: Int) -> [UInt8] {
            (0..<columns).flatMap { column in
                (0..<leading).flatMap { row in
                    Self.narrowed(row < rows ? values[column * rows + row] : .nan, shape.type)
                }
            }
        }
        let addressA = device.upload(
            [UInt8](repeating: 0, count: shift) + stored(a, shape.isTransposedA ? k : m, shape.isTransposedA ? m : k, leadingA))
        let addressB = device.upload(
            stored(b, shape.isTransposedB ? n : k, shape.isTransposedB ? k : n, leadingB))
        let addressD = device.allocate(leadingD * n * resultWidth), workspace = device.allocate(4096)
        let addressBias = device.upload(bias.flatMap { Self.narrowed($0, shape.result) })
        defer { device.free(addressA, addressB, addressD, workspace, addressBias) }

        var handle: cublasLtHandle_t?, description: cublasLtMatmulDesc_t?, preference: cublasLtMatmulPreference_t?
        #expect(blas.cublasLtCreate(&handle) == CUBLAS_STATUS_SUCCESS)
        #expect(blas.cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS)
        #expect(blas.cublasLtMatmulPreferenceCreate(&preference) == CUBLAS_STATUS_SUCCESS)
        let (library, product, preferred) = try (#require(handle), #require(description), #require(preference))
        func set<Value>(_ attribute: cublasLtMatmulDescAttributes_t, _ value: Value) {
            withUnsafePointer(to: value) {
                let status = blas.cublasLtMatmulDescSetAttribute(product, attribute, $0, MemoryLayout<Value>.size)
                #expect(status == CUBLAS_STATUS_SUCCESS)
            }
        }
        if shape.isTransposedA { set(CUBLASLT_MATMUL_DESC_TRANSA, Int32(CUBLAS_OP_T.rawValue)) }
        if shape.isTransposedB { set(CUBLASLT_MATMUL_DESC_TRANSB, Int32(CUBLAS_OP_T.rawValue)) }
        if shape.hasBias {
            set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS.rawValue)
            set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, addressBias)
        }
        func layout(_ type: cudaDataType, _ rows: Int, _ columns: Int, _ leading: Int) throws -> cublasLtMatrixLayout_t {
            var layout: cublasLtMatrixLayout_t?
            _ = blas.cublasLtMatrixLayoutCreate(&layout, type, UInt64(rows), UInt64(columns), Int64(leading))
            return try #require(layout)
        }
        let layoutA = try layout(shape.type, shape.isTransposedA ? k : m, shape.isTransposedA ? m : k, leadingA)
        let layoutB = try layout(shape.type, shape.isTransposedB ? n : k, shape.isTransposedB ? k : n, leadingB)
        let layoutD = try layout(shape.result, m, n, leadingD)
        defer {
            for layout in [layoutA, layoutB, layoutD] { _ = blas.cublasLtMatrixLayoutDestroy(layout) }
            _ = blas.cublasLtMatmulPreferenceDestroy(preferred)
            _ = blas.cublasLtMatmulDescDestroy(product)
            _ = blas.cublasLtDestroy(library)
        }
        var room = UInt64(4096), least = alignment
        _ = blas.cublasLtMatmulPreferenceSetAttribute(preferred, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room, 8)
        _ = blas.cublasLtMatmulPreferenceSetAttribute(preferred, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &least, 4)
        var found = cublasLtMatmulHeuristicResult_t(), count = Int32(0)
        let heuristic = blas.cublasLtMatmulAlgoGetHeuristic(
            library, product, layoutA, layoutB, layoutD, layoutD, preferred, 1, &found, &count)
        guard heuristic == CUBLAS_STATUS_SUCCESS, count == 1 else { return (heuristic, [], []) }
        var one = Float(1), zero = Float(0)
        let pointer = { (address: CUdeviceptr) in UnsafeMutableRawPointer(bitPattern: UInt(address)) }
        guard let a = pointer(addressA + UInt64(shift)), let b = pointer(addressB), let d = pointer(addressD) else {
            return (CUBLAS_STATUS_INVALID_VALUE, [], [])
        }
        let status = blas.cublasLtMatmul(
            library, product, &one, a, layoutA, b, layoutB, &zero, d, layoutD, d, layoutD, &found.algo,
            pointer(workspace), 4096, device.stream)
        let bytes = device.download(leadingD * n * resultWidth, of: UInt8(0), at: addressD)
        let values = (0..<n).flatMap { column in
            (0..<m).map { row in
                let start = (column * leadingD + row) * resultWidth
                return Self.widened(bytes[start..<start + resultWidth], shape.result)
            }
        }
        return (status, values, Self.sums(shape))
    }

    private static func sums(_ shape: Shape) -> [Float] {
        let (m, n, k) = (shape.rows, shape.columns, shape.depth)
        func a(_ row: Int, _ depth: Int) -> Double {
            Double((shape.isTransposedA ? row * k + depth : depth * m + row) * 5 % 7 - 3)
        }
        func b(_ depth: Int, _ column: Int) -> Double {
            Double((shape.isTransposedB ? depth * n + column : column * k + depth) * 3 % 5 - 2)
        }
        return (0..<n).flatMap { column in
            (0..<m).map { row in
                let sum = (0..<k).reduce(0.0) { $0 + a(row, $1) * b($1, column) }
                return Float(sum + (shape.hasBias ? Double(row % 4) : 0))
            }
        }
    }

    @Test(arguments: [
        Shape(rows: 5, columns: 3, depth: 7), Shape(rows: 5, columns: 3, depth: 7, isTransposedA: true),
        Shape(rows: 4, columns: 6, depth: 17, isTransposedB: true),
        Shape(rows: 9, columns: 2, depth: 33, isTransposedA: true, isTransposedB: true, hasBias: true),
        Shape(rows: 8, columns: 8, depth: 16, isTransposedA: true, type: CUDA_R_16F),
        Shape(rows: 3, columns: 5, depth: 24, isTransposedA: true, hasBias: true, type: CUDA_R_16F, result: CUDA_R_16F),
        Shape(rows: 3, columns: 5, depth: 24, isTransposedA: true, type: CUDA_R_16BF, result: CUDA_R_16BF),
    ])
    func productsAreSums(_ shape: Shape) throws {
        let device = try EmulatedDevice()
        let (status, values, expected) = try multiply(shape, on: device)
        #expect(status == CUBLAS_STATUS_SUCCESS)
        #expect(values == expected)
        #expect(device.close() == [])
    }

    @Test func addressesAreAsAlignedAsTheAlgorithmWasToldThatTheyAre() throws {
        let device = try EmulatedDevice()
        let shape = Shape(rows: 8, columns: 2, depth: 8)
        #expect(try multiply(shape, on: device, shift: 16).0 == CUBLAS_STATUS_INVALID_VALUE)
        #expect(try multiply(shape, on: device, shift: 16, alignment: 16).0 == CUBLAS_STATUS_SUCCESS)
        #expect(device.close() == [])
    }

    @Test func typesThatDoNotGoTogetherAreRefused() throws {
        let device = try EmulatedDevice()
        let shape = Shape(rows: 8, columns: 2, depth: 8, type: CUDA_R_16F, result: CUDA_R_16BF)
        #expect(try multiply(shape, on: device).0 == CUBLAS_STATUS_NOT_SUPPORTED)
        #expect(device.close() == [])
    }
}
