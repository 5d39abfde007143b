import CCUDA

/// The functions of the driver, of NVRTC, of cuBLASLt and of NCCL: found on the system, or others in their place.
package final class CUDALibrary: Sendable {
    let api: martlet_driver
    let nvrtc: martlet_nvrtc
    let cublaslt: martlet_cublaslt
    /// nil where it is not there.
    let nccl: martlet_nccl?

    /// `table`: filled, the driver initialised.
    package init(_ table: martlet_cuda) {
        api = table.driver
        nvrtc = table.nvrtc
        cublaslt = table.cublaslt
        nccl = table.has_nccl != 0 ? table.nccl : nil
    }

    /// What the system has, or `folders`: where libraries lie, or site-packages into which NVIDIA's Python packages
    /// were installed. Throws `CUDAError` that says what is missing and what brings it.
    package static func found(folders: [String] = []) throws(CUDAError) -> CUDALibrary {
        var table = martlet_cuda(), detail = [CChar](repeating: 0, count: 512)
        let names = folders.map { Array($0.utf8CString) }
        let search = withPointers(to: names) {
            martlet_cuda_load($0.baseAddress, $0.count, &table, &detail, detail.count)
        }
        let words = String(decoding: detail.lazy.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        switch search {
        case MARTLET_CUDA_FOUND: return CUDALibrary(table)
        case MARTLET_CUDA_DRIVER_TOO_OLD: throw .driverTooOld(version: Int(table.driver_version))
        case MARTLET_CUDA_NO_NVRTC:
            throw .noLibrary(
                name: "libnvrtc", packages: "the CUDA toolkit, or nvidia-cuda-nvrtc-cu12 by pip", detail: words)
        case MARTLET_CUDA_NO_CUBLASLT:
            throw .noLibrary(
                name: "libcublasLt", packages: "the CUDA toolkit, or nvidia-cublas-cu12 by pip", detail: words)
        case MARTLET_CUDA_NO_SYMBOL:
            throw .noLibrary(name: words, packages: "driver 535 and CUDA 12.2, or newer", detail: "no such function")
        default: throw .noDriver(detail: words)
        }
    }

    /// Lends the addresses of zero-terminated texts.
    static func withPointers<Result>(
        to texts: [[CChar]], _ body: (UnsafeBufferPointer<UnsafePointer<CChar>>) -> Result
    ) -> Result {
        let all = texts.flatMap { $0 }
        return all.withUnsafeBufferPointer { all in
            var pointers: [UnsafePointer<CChar>] = [], start = 0
            for text in texts {
                if let base = all.baseAddress { pointers.append(base + start) }
                start += text.count
            }
            return pointers.withUnsafeBufferPointer(body)
        }
    }

    // MARK: Results

    func check(_ result: CUresult, _ call: String) throws(CUDAError) {
        guard result != CUDA_SUCCESS else { return }
        var name: UnsafePointer<CChar>?
        _ = api.cuGetErrorName(result, &name)
        throw .failed(call: call, code: Int(result.rawValue), name: name.map { String(cString: $0) } ?? "unknown")
    }

    func check(_ result: nvrtcResult, _ call: String) throws(CUDAError) {
        guard result != NVRTC_SUCCESS else { return }
        let name = nvrtc.nvrtcGetErrorString(result).map { String(cString: $0) }
        throw .failed(call: call, code: Int(result.rawValue), name: name ?? "unknown")
    }

    func check(_ result: cublasStatus_t, _ call: String) throws(CUDAError) {
        guard result != CUBLAS_STATUS_SUCCESS else { return }
        throw .failed(call: call, code: Int(result.rawValue), name: Self.name(result))
    }

    func check(_ result: ncclResult_t, _ call: String) throws(CUDAError) {
        guard result != ncclSuccess else { return }
        let name = nccl?.ncclGetErrorString(result).map { String(cString: $0) }
        throw .failed(call: call, code: Int(result.rawValue), name: name ?? "unknown")
    }

    /// cuBLASLt itself says it in newer versions only.
    private static func name(_ result: cublasStatus_t) -> String {
        switch result {
        case CUBLAS_STATUS_NOT_INITIALIZED: "CUBLAS_STATUS_NOT_INITIALIZED"
        case CUBLAS_STATUS_ALLOC_FAILED: "CUBLAS_STATUS_ALLOC_FAILED"
        case CUBLAS_STATUS_INVALID_VALUE: "CUBLAS_STATUS_INVALID_VALUE"
        case CUBLAS_STATUS_ARCH_MISMATCH: "CUBLAS_STATUS_ARCH_MISMATCH"
        case CUBLAS_STATUS_EXECUTION_FAILED: "CUBLAS_STATUS_EXECUTION_FAILED"
        case CUBLAS_STATUS_INTERNAL_ERROR: "CUBLAS_STATUS_INTERNAL_ERROR"
        case CUBLAS_STATUS_NOT_SUPPORTED: "CUBLAS_STATUS_NOT_SUPPORTED"
        default: "unknown"
        }
    }
}
