import CCUDA

/// Memory of a device, for work of one stream: freed once what was put there until then is done.
final class DeviceBuffer {
    /// The first byte, aligned to 256.
    let address: CUdeviceptr
    let byteCount: Int
    private let stream: DeviceStream

    /// Contents are undefined; zero bytes are legal. Throws `outOfMemory` with what is free.
    init(_ byteCount: Int, for purpose: MemoryShortage.Purpose, on stream: DeviceStream) throws(CUDAError) {
        let library = stream.library
        try stream.device.makeCurrent()
        var address = CUdeviceptr()
        let code = library.api.cuMemAlloc(&address, max(byteCount, 1))
        if code == CUDA_ERROR_OUT_OF_MEMORY {
            let memory = try stream.device.memory()
            throw .outOfMemory(
                MemoryShortage(purpose: purpose, asked: byteCount, free: memory.free, total: memory.total))
        }
        try library.check(code, "cuMemAlloc")
        self.address = address
        self.byteCount = byteCount
        self.stream = stream
    }

    deinit {
        stream.settle()
        _ = stream.library.api.cuMemFree(address)
    }
}
