import CCUDA
import CUDAEmulation
import Testing

/// A product of small integers, exact in every type, asked of an emulated cuBLASLt: D = op(A) op(B) (+ bias).
struct EmulatedProduct: Sendable, CustomStringConvertible {
    let rows, columns, depth: Int
    var isTransposedA = false, isTransposedB = false, hasBias = false
    var type = CUDA_R_32F, result = CUDA_R_32F

    var description: String {
        "\(rows)x\(columns)x\(depth) \(isTransposedA) \(isTransposedB) \(type.rawValue) \(result.rawValue)"
    }

    /// A matrix as it is stored, by columns, each some elements apart from the next.
    struct Matrix {
        let type: cudaDataType
        let rows, columns, leading: Int
        var width: Int { Self.hasBytes(type) ? 1 : type == CUDA_R_16F || type == CUDA_R_16BF ? 2 : 4 }

        static func hasBytes(_ type: cudaDataType) -> Bool { type == CUDA_R_8I || type == CUDA_R_8F_E4M3 }

        /// E4M3 of 0, 1, 2 and 3.
        private static let smallFloats: [UInt8] = [0, 0x38, 0x40, 0x44]

        func layout(_ cuda: martlet_cuda) throws -> cublasLtMatrixLayout_t {
            var layout: cublasLtMatrixLayout_t?
            _ = cuda.cublaslt.cublasLtMatrixLayoutCreate(
                &layout, type, UInt64(rows), UInt64(columns), Int64(leading))
            return try #require(layout)
        }

        func stored(_ value: (_ row: Int, _ column: Int) -> Float) -> [UInt8] {
            (0..<columns).flatMap { column in
                (0..<leading).flatMap { row in narrowed(row < rows ? value(row, column) : .nan) }
            }
        }

        func narrowed(_ value: Float) -> [UInt8] {
            switch type {
            case CUDA_R_16F: withUnsafeBytes(of: Float16(value).bitPattern, Array.init)
            case CUDA_R_16BF: withUnsafeBytes(of: UInt16(value.bitPattern >> 16), Array.init)
            // Without gaps: NaN comes up in none.
            case CUDA_R_8I: [UInt8(bitPattern: Int8(value))]
            case CUDA_R_8F_E4M3: [Self.smallFloats[Int(value.magnitude)] | (value < 0 ? 0x80 : 0)]
            case CUDA_R_32I: [UInt8](repeating: 0xA5, count: 4)
            default: withUnsafeBytes(of: value, Array.init)
            }
        }

        /// What `bytes` hold, without the gaps between columns.
        func widened(_ bytes: [UInt8]) -> [Float] {
            (0..<columns * rows).map { index in
                let start = (index / rows * leading + index % rows) * width
                let bits = bytes[start..<start + width].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                switch type {
                case CUDA_R_16F: return Float(Float16(bitPattern: UInt16(bits)))
                case CUDA_R_16BF: return Float(bitPattern: bits << 16)
                case CUDA_R_32I: return Float(Int32(bitPattern: bits))
                default: return Float(bitPattern: bits)
                }
            }
        }
    }

    private var a: Matrix {
        let (rows, columns) = isTransposedA ? (depth, rows) : (rows, depth)
        return Matrix(type: type, rows: rows, columns: columns, leading: rows + gap(3))
    }
    private var b: Matrix {
        let (rows, columns) = isTransposedB ? (columns, depth) : (depth, columns)
        return Matrix(type: type, rows: rows, columns: columns, leading: rows + gap(1))
    }
    private var d: Matrix { Matrix(type: result, rows: rows, columns: columns, leading: rows + gap(2)) }

    /// Elements between columns; matrices of bytes lie in pieces of 16.
    private func gap(_ count: Int) -> Int { Matrix.hasBytes(type) ? 0 : count }

    private static func valueA(_ row: Int, _ k: Int) -> Float { Float((row * 5 + k * 3) % 7 - 3) }
    private static func valueB(_ k: Int, _ column: Int) -> Float { Float((k * 3 + column * 2) % 5 - 2) }
    private static func valueBias(_ row: Int) -> Float { Float(row % 4) }

    /// D as sums, by columns.
    var sums: [Float] {
        (0..<rows * columns).map { index in
            var sum: Float = hasBias ? Self.valueBias(index % rows) : 0
            for k in 0..<depth { sum += Self.valueA(index % rows, k) * Self.valueB(k, index / rows) }
            return sum
        }
    }

    /// Gives D, or what refused it. `shift`: A begins so many bytes into its memory, and the library is told that it is
    /// at a multiple of `alignment`.
    func run(on device: EmulatedDevice, shift: Int = 0, alignment: UInt32 = 256) throws -> (cublasStatus_t, [Float]) {
        let storedA = a.stored { isTransposedA ? Self.valueA($1, $0) : Self.valueA($0, $1) }
        let addressA = device.upload([UInt8](repeating: 0, count: shift) + storedA)
        let addressB = device.upload(b.stored { isTransposedB ? Self.valueB($1, $0) : Self.valueB($0, $1) })
        let bias = device.upload((0..<rows).flatMap { d.narrowed(Self.valueBias($0)) })
        let bytes = d.leading * columns * d.width, workspace = device.allocate(4096), addressD = device.allocate(bytes)
        defer { device.free(addressA, addressB, bias, workspace, addressD) }
        let cuda = device.cuda
        let calls = try ProductCalls(
            cuda, a: a.layout(cuda), b: b.layout(cuda), d: d.layout(cuda), areWhole: type == CUDA_R_8I)
        defer { calls.end() }
        if isTransposedA { calls.set(CUBLASLT_MATMUL_DESC_TRANSA, Int32(CUBLAS_OP_T.rawValue)) }
        if isTransposedB { calls.set(CUBLASLT_MATMUL_DESC_TRANSB, Int32(CUBLAS_OP_T.rawValue)) }
        if hasBias {
            calls.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS.rawValue)
            calls.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias)
        }
        let status = calls.multiply(
            addressA + UInt64(shift), addressB, into: addressD, workspace: workspace, alignment: alignment,
            device.stream)
        return (status, d.widened(device.download(bytes, of: UInt8(0), at: addressD)))
    }
}

/// The library's objects for one product.
private struct ProductCalls {
    private let blas: martlet_cublaslt
    private let handle: cublasLtHandle_t
    private let description: cublasLtMatmulDesc_t
    private let preference: cublasLtMatmulPreference_t
    private let a, b, d: cublasLtMatrixLayout_t
    private let areWhole: Bool

    init(
        _ cuda: martlet_cuda, a: cublasLtMatrixLayout_t, b: cublasLtMatrixLayout_t, d: cublasLtMatrixLayout_t,
        areWhole: Bool
    ) throws {
        blas = cuda.cublaslt
        self.areWhole = areWhole
        (self.a, self.b, self.d) = (a, b, d)
        var handle: cublasLtHandle_t?, description: cublasLtMatmulDesc_t?, preference: cublasLtMatmulPreference_t?
        #expect(blas.cublasLtCreate(&handle) == CUBLAS_STATUS_SUCCESS)
        let (compute, scale) = areWhole ? (CUBLAS_COMPUTE_32I, CUDA_R_32I) : (CUBLAS_COMPUTE_32F, CUDA_R_32F)
        #expect(blas.cublasLtMatmulDescCreate(&description, compute, scale) == CUBLAS_STATUS_SUCCESS)
        #expect(blas.cublasLtMatmulPreferenceCreate(&preference) == CUBLAS_STATUS_SUCCESS)
        self.handle = try #require(handle)
        self.description = try #require(description)
        self.preference = try #require(preference)
    }

    func set<Value>(_ attribute: cublasLtMatmulDescAttributes_t, _ value: Value) {
        withUnsafePointer(to: value) {
            let status = blas.cublasLtMatmulDescSetAttribute(description, attribute, $0, MemoryLayout<Value>.size)
            #expect(status == CUBLAS_STATUS_SUCCESS)
        }
    }

    /// With the algorithm that the heuristic names; gives the status of the first call that fails.
    func multiply(
        _ left: CUdeviceptr, _ right: CUdeviceptr, into target: CUdeviceptr, workspace: CUdeviceptr, alignment: UInt32,
        _ stream: CUstream
    ) -> cublasStatus_t {
        var room = UInt64(4096), least = alignment, one = areWhole ? 1 : Float(1).bitPattern, zero = UInt32(0)
        _ = blas.cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room, 8)
        _ = blas.cublasLtMatmulPreferenceSetAttribute(
            preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &least, 4)
        var found = cublasLtMatmulHeuristicResult_t(), count = Int32(0)
        let status = blas.cublasLtMatmulAlgoGetHeuristic(
            handle, description, a, b, d, d, preference, 1, &found, &count)
        guard status == CUBLAS_STATUS_SUCCESS else { return status }
        #expect(count == 1)
        return blas.cublasLtMatmul(
            handle, description, &one, devicePointer(left), a, devicePointer(right), b, &zero, devicePointer(target), d,
            devicePointer(target), d, &found.algo, devicePointer(workspace), 4096, stream)
    }

    func end() {
        for layout in [a, b, d] { #expect(blas.cublasLtMatrixLayoutDestroy(layout) == CUBLAS_STATUS_SUCCESS) }
        #expect(blas.cublasLtMatmulPreferenceDestroy(preference) == CUBLAS_STATUS_SUCCESS)
        #expect(blas.cublasLtMatmulDescDestroy(description) == CUBLAS_STATUS_SUCCESS)
        #expect(blas.cublasLtDestroy(handle) == CUBLAS_STATUS_SUCCESS)
    }
}

/// For libraries that take addresses on the device as pointers.
func devicePointer(_ address: CUdeviceptr) -> UnsafeMutableRawPointer {
    guard let pointer = UnsafeMutableRawPointer(bitPattern: UInt(address)) else { preconditionFailure("no address") }
    return pointer
}
