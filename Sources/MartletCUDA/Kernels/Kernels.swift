import CCUDA
import MartletCPU

/// All kernels on a device, found by name.
final class Kernels {
    private let modules: [KernelModule]
    private var known: [KernelName: CUfunction] = [:]

    /// Compiles what `cache` does not have, several files at once.
    init(_ device: CUDADevice, cache: KernelCache, pool: ThreadPool) throws {
        modules = try cache.images(for: device, pool: pool).map { try KernelModule($0, on: device) }
    }

    /// Throws where there is no such kernel: a bug.
    func function(_ name: KernelName) throws(CUDAError) -> CUfunction {
        if let function = known[name] { return function }
        let text = name.text
        for module in modules {
            guard let function = try module.function(text) else { continue }
            known[name] = function
            return function
        }
        throw .failed(call: "cuModuleGetFunction", code: Int(CUDA_ERROR_NOT_FOUND.rawValue), name: "no kernel \(text)")
    }
}
