import CCUDA

/// One compiled file of kernels on a device.
final class KernelModule {
    private let device: CUDADevice
    private let handle: CUmodule

    /// `image`: a cubin for the device's architecture.
    init(_ image: [UInt8], on device: CUDADevice) throws(CUDAError) {
        self.device = device
        try device.makeCurrent()
        var handle: CUmodule?
        try device.library.check(device.library.api.cuModuleLoadData(&handle, image), "cuModuleLoadData")
        guard let handle else { throw .failed(call: "cuModuleLoadData", code: 0, name: "no module") }
        self.handle = handle
    }

    deinit {
        try? device.makeCurrent()
        _ = device.library.api.cuModuleUnload(handle)
    }

    /// Valid as long as the module lives; nil where it has no such kernel.
    func function(_ name: String) throws(CUDAError) -> CUfunction? {
        var function: CUfunction?
        let result = device.library.api.cuModuleGetFunction(&function, handle, name)
        if result == CUDA_ERROR_NOT_FOUND { return nil }
        try device.library.check(result, "cuModuleGetFunction")
        return function
    }
}
