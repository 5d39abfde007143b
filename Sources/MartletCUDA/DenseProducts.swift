import CCUDA
import MartletTensor

/// Products of dense matrices by cuBLASLt, sums in f32, none of them shortened to TF32, or of whole numbers. What the
/// library recommends for a shape is remembered.
final class DenseProducts {
    /// What the library may write to while it multiplies.
    static let workspaceBytes = 32 << 20
    /// Shapes that are remembered: more are not met but by a server with ever other lengths of prompts.
    private static let planLimit = 4096

    private let stream: DeviceStream
    private let handle: cublasLtHandle_t
    private let floats, wholeNumbers: MatmulDescription
    private let workspace: DeviceBuffer
    private var plans: [Shape: Plan] = [:]

    /// Types of elements that the library reads and writes.
    enum Element: Hashable {
        case f32, f16, bf16
        /// Whole numbers of 8 and 32 bits, and floats of 8 with 4 of exponent.
        case i8, i32, e4m3

        init(_ dtype: DType) {
            switch dtype {
            case .f16: self = .f16
            case .bf16: self = .bf16
            default: self = .f32
            }
        }
    }

    /// A dense matrix [count, width] in memory, `stride` elements from row to row.
    struct Rows {
        let address: CUdeviceptr
        let type: Element
        let count, width, stride: Int
    }

    /// y [rows, outputs] = x [rows, columns] w^T; strides count elements, alignments are those of the addresses.
    private struct Shape: Hashable {
        let operandType: Element
        let rows, columns, outputs: Int
        let xStride, yStride: Int
        let yType: Element
        let xAlignment, wAlignment, yAlignment: UInt32
    }

    init(on stream: DeviceStream) throws(CUDAError) {
        self.stream = stream
        let library = stream.library
        workspace = try DeviceBuffer(Self.workspaceBytes, for: .workspace, on: stream)
        var handle: cublasLtHandle_t?
        try library.check(library.cublaslt.cublasLtCreate(&handle), "cublasLtCreate")
        guard let handle else { throw .failed(call: "cublasLtCreate", code: 0, name: "no handle") }
        do {
            floats = try MatmulDescription(CUBLAS_COMPUTE_32F, CUDA_R_32F, library)
            wholeNumbers = try MatmulDescription(CUBLAS_COMPUTE_32I, CUDA_R_32I, library)
        } catch {
            _ = library.cublaslt.cublasLtDestroy(handle)
            throw error
        }
        self.handle = handle
    }

    deinit {
        stream.settle()
        plans = [:]
        _ = stream.library.cublaslt.cublasLtDestroy(handle)
    }

    /// y = x w^T, w: [y.width, x.width] dense, of x's type. Of 8 bits, widths and strides are multiples of 16, and sums
    /// have 32.
    func multiply(_ x: Rows, by w: CUdeviceptr, into y: Rows) throws(CUDAError) {
        let plan = try plan(
            for: Shape(
                operandType: x.type, rows: x.count, columns: x.width, outputs: y.width, xStride: x.stride,
                yStride: y.stride, yType: y.type,
                xAlignment: Self.alignment(x.address), wAlignment: Self.alignment(w),
                yAlignment: Self.alignment(y.address)))
        // One, as the type of the sums has it.
        var one = x.type == .i8 ? 1 : Float(1).bitPattern, zero: UInt32 = 0, algorithm = plan.algorithm
        let code = stream.library.cublaslt.cublasLtMatmul(
            handle, description(x.type), &one, try Self.pointer(w), plan.w.handle, try Self.pointer(x.address),
            plan.x.handle, &zero, try Self.pointer(y.address), plan.y.handle, try Self.pointer(y.address),
            plan.y.handle, &algorithm, try Self.pointer(workspace.address), Self.workspaceBytes, stream.handle)
        try stream.library.check(code, "cublasLtMatmul")
    }

    private func description(_ operandType: Element) -> cublasLtMatmulDesc_t {
        (operandType == .i8 ? wholeNumbers : floats).handle
    }

    private static func pointer(_ address: CUdeviceptr) throws(CUDAError) -> UnsafeMutableRawPointer {
        guard let pointer = UnsafeMutableRawPointer(bitPattern: UInt(address)) else {
            throw .failed(call: "cublasLtMatmul", code: 0, name: "no memory")
        }
        return pointer
    }

    private static func alignment(_ address: CUdeviceptr) -> UInt32 {
        UInt32(1) << UInt32(min(8, address.trailingZeroBitCount))
    }

    // MARK: Plans

    private func plan(for shape: Shape) throws(CUDAError) -> Plan {
        if let plan = plans[shape] { return plan }
        if plans.count >= Self.planLimit { plans = [:] }
        let library = stream.library
        let w = try MatrixLayout(shape.operandType, shape.columns, shape.outputs, stride: shape.columns, library)
        let x = try MatrixLayout(shape.operandType, shape.columns, shape.rows, stride: shape.xStride, library)
        let y = try MatrixLayout(shape.yType, shape.outputs, shape.rows, stride: shape.yStride, library)
        let preference = try MatmulPreference(library)
        try preference.set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, UInt64(Self.workspaceBytes))
        try preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, shape.wAlignment)
        try preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, shape.xAlignment)
        try preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, shape.yAlignment)
        try preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, shape.yAlignment)
        var found = cublasLtMatmulHeuristicResult_t(), count: Int32 = 0
        try library.check(
            library.cublaslt.cublasLtMatmulAlgoGetHeuristic(
                handle, description(shape.operandType), w.handle, x.handle, y.handle, y.handle, preference.handle, 1,
                &found, &count),
            "cublasLtMatmulAlgoGetHeuristic")
        guard count > 0 else {
            throw .failed(
                call: "cublasLtMatmulAlgoGetHeuristic", code: 0,
                name: "no way to multiply [\(shape.rows), \(shape.columns)] by [\(shape.outputs), \(shape.columns)]")
        }
        let plan = Plan(w: w, x: x, y: y, algorithm: found.algo)
        plans[shape] = plan
        return plan
    }

    private struct Plan {
        let w, x, y: MatrixLayout
        let algorithm: cublasLtMatmulAlgo_t
    }
}

/// What is to be computed. Matrices are stored by rows, which the library reads as their transposes by columns:
/// y^T = w x^T.
private final class MatmulDescription {
    let handle: cublasLtMatmulDesc_t
    private let library: CUDALibrary

    init(_ compute: cublasComputeType_t, _ scale: cudaDataType, _ library: CUDALibrary) throws(CUDAError) {
        self.library = library
        var handle: cublasLtMatmulDesc_t?
        try library.check(
            library.cublaslt.cublasLtMatmulDescCreate(&handle, compute, scale), "cublasLtMatmulDescCreate")
        guard let handle else { throw .failed(call: "cublasLtMatmulDescCreate", code: 0, name: "no description") }
        self.handle = handle
        var transposed = Int32(CUBLAS_OP_T.rawValue)
        try library.check(
            library.cublaslt.cublasLtMatmulDescSetAttribute(
                handle, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, MemoryLayout<Int32>.size),
            "cublasLtMatmulDescSetAttribute")
    }

    deinit { _ = library.cublaslt.cublasLtMatmulDescDestroy(handle) }
}

/// How a matrix lies in memory, by columns.
private final class MatrixLayout {
    let handle: cublasLtMatrixLayout_t
    private let library: CUDALibrary

    init(
        _ element: DenseProducts.Element, _ rows: Int, _ columns: Int, stride: Int, _ library: CUDALibrary
    ) throws(CUDAError) {
        self.library = library
        let type =
            switch element {
            case .f32: CUDA_R_32F
            case .f16: CUDA_R_16F
            case .bf16: CUDA_R_16BF
            case .i8: CUDA_R_8I
            case .i32: CUDA_R_32I
            case .e4m3: CUDA_R_8F_E4M3
            }
        var handle: cublasLtMatrixLayout_t?
        try library.check(
            library.cublaslt.cublasLtMatrixLayoutCreate(
                &handle, type, UInt64(rows), UInt64(columns), Int64(stride)),
            "cublasLtMatrixLayoutCreate")
        guard let handle else { throw .failed(call: "cublasLtMatrixLayoutCreate", code: 0, name: "no layout") }
        self.handle = handle
    }

    deinit { _ = library.cublaslt.cublasLtMatrixLayoutDestroy(handle) }
}

/// What is wanted of an algorithm.
private final class MatmulPreference {
    let handle: cublasLtMatmulPreference_t
    private let library: CUDALibrary

    init(_ library: CUDALibrary) throws(CUDAError) {
        self.library = library
        var handle: cublasLtMatmulPreference_t?
        try library.check(
            library.cublaslt.cublasLtMatmulPreferenceCreate(&handle), "cublasLtMatmulPreferenceCreate")
        guard let handle else { throw .failed(call: "cublasLtMatmulPreferenceCreate", code: 0, name: "none made") }
        self.handle = handle
    }

    deinit { _ = library.cublaslt.cublasLtMatmulPreferenceDestroy(handle) }

    func set<Value: BitwiseCopyable>(
        _ attribute: cublasLtMatmulPreferenceAttributes_t, _ value: Value
    ) throws(CUDAError) {
        var value = value
        try library.check(
            library.cublaslt.cublasLtMatmulPreferenceSetAttribute(
                handle, attribute, &value, MemoryLayout<Value>.size), "cublasLtMatmulPreferenceSetAttribute")
    }
}
