import CCUDA
import MartletTensor

/// Products of dense matrices by cuBLASLt, sums in f32, none of them shortened to TF32. What the library recommends for
/// a shape is remembered.
final class DenseProducts {
    /// What the library may write to while it multiplies.
    static let workspaceBytes = 32 << 20
    /// Shapes that are remembered: more are not met but by a server with ever other lengths of prompts.
    private static let planLimit = 4096

    private let stream: DeviceStream
    private let handle: cublasLtHandle_t
    private let description: cublasLtMatmulDesc_t
    private let workspace: DeviceBuffer
    private var plans: [Shape: Plan] = [:]

    /// y [rows, outputs] = x [rows, columns] w^T; strides count elements, alignments are those of the addresses.
    private struct Shape: Hashable {
        let operandType: DType
        let rows, columns, outputs: Int
        let xStride, yStride: Int
        let yType: DType
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
            description = try Self.description(library)
        } catch {
            _ = library.cublaslt.cublasLtDestroy(handle)
            throw error
        }
        self.handle = handle
    }

    deinit {
        stream.settle()
        plans = [:]
        _ = stream.library.cublaslt.cublasLtMatmulDescDestroy(description)
        _ = stream.library.cublaslt.cublasLtDestroy(handle)
    }

    /// Matrices are stored by rows, which the library reads as their transposes by columns: y^T = w x^T.
    private static func description(_ library: CUDALibrary) throws(CUDAError) -> cublasLtMatmulDesc_t {
        var description: cublasLtMatmulDesc_t?
        try library.check(
            library.cublaslt.cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F),
            "cublasLtMatmulDescCreate")
        guard let description else { throw .failed(call: "cublasLtMatmulDescCreate", code: 0, name: "no description") }
        var transposed = Int32(CUBLAS_OP_T.rawValue)
        let code = library.cublaslt.cublasLtMatmulDescSetAttribute(
            description, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, MemoryLayout<Int32>.size)
        do {
            try library.check(code, "cublasLtMatmulDescSetAttribute")
        } catch {
            _ = library.cublaslt.cublasLtMatmulDescDestroy(description)
            throw error
        }
        return description
    }

    /// y = x w^T, w: [y.width, columns] dense, of x's type.
    func multiply(
        _ x: CUDABackend.Operand, by w: CUdeviceptr, columns: Int, into y: Activation<CUDABackend.Storage>
    ) throws(CUDAError) {
        let plan = try plan(
            for: Shape(
                operandType: x.dtype, rows: x.rows, columns: columns, outputs: y.width, xStride: x.stride,
                yStride: y.stride, yType: y.dtype,
                xAlignment: Self.alignment(x.address), wAlignment: Self.alignment(w),
                yAlignment: Self.alignment(y.address)))
        var one: Float = 1, zero: Float = 0, algorithm = plan.algorithm
        let code = stream.library.cublaslt.cublasLtMatmul(
            handle, description, &one, try Self.pointer(w), plan.w.handle, try Self.pointer(x.address), plan.x.handle,
            &zero, try Self.pointer(y.address), plan.y.handle, try Self.pointer(y.address), plan.y.handle, &algorithm,
            try Self.pointer(workspace.address), Self.workspaceBytes, stream.handle)
        try stream.library.check(code, "cublasLtMatmul")
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
                handle, description, w.handle, x.handle, y.handle, y.handle, preference.handle, 1, &found, &count),
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

/// How a matrix lies in memory, by columns.
private final class MatrixLayout {
    let handle: cublasLtMatrixLayout_t
    private let library: CUDALibrary

    init(_ dtype: DType, _ rows: Int, _ columns: Int, stride: Int, _ library: CUDALibrary) throws(CUDAError) {
        self.library = library
        let type =
            switch dtype {
            case .f16: CUDA_R_16F
            case .bf16: CUDA_R_16BF
            default: CUDA_R_32F
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
