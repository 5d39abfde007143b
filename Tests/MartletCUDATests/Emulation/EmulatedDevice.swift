import CCUDA
import CUDAEmulation
import Testing

/// An emulation with its first device's context current on this thread, and the driver's calls as tests need them.
final class EmulatedDevice {
    let emulation: OpaquePointer
    let cuda: martlet_cuda
    var driver: martlet_driver { cuda.driver }
    private(set) var contexts: [CUcontext] = []
    /// Where work goes unless a test names another.
    let stream: CUstream
    private let module: CUmodule

    init(_ change: (inout martlet_emulation_options) -> Void = { _ in }) throws {
        var options = martlet_emulation_defaults()
        change(&options)
        emulation = try #require(martlet_emulation_open(options))
        cuda = martlet_emulation_table(emulation).pointee
        let driver = cuda.driver
        #expect(driver.cuInit(0) == CUDA_SUCCESS)
        for ordinal in 0..<options.device_count {
            var context: CUcontext?
            #expect(driver.cuDevicePrimaryCtxRetain(&context, ordinal) == CUDA_SUCCESS)
            contexts.append(try #require(context))
        }
        #expect(driver.cuCtxSetCurrent(contexts[0]) == CUDA_SUCCESS)
        var stream: CUstream?
        #expect(driver.cuStreamCreate(&stream, UInt32(CU_STREAM_NON_BLOCKING)) == CUDA_SUCCESS)
        self.stream = try #require(stream)
        var module: CUmodule?
        let image = "martlet emulated cubin sm_\(options.architecture) probes.cu\n"
        #expect(driver.cuModuleLoadData(&module, image) == CUDA_SUCCESS)
        self.module = try #require(module)
    }

    /// Ends it, and gives what the emulation complains of.
    func close() -> [String] {
        _ = driver.cuStreamDestroy(stream)
        _ = driver.cuModuleUnload(module)
        for ordinal in contexts.indices { _ = driver.cuDevicePrimaryCtxRelease(Int32(ordinal)) }
        var text = [CChar](repeating: 0, count: 4096)
        _ = martlet_emulation_close(emulation, &text, text.count)
        let written = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return written.split(separator: "\n").map(String.init)
    }

    func use(_ device: Int) { #expect(driver.cuCtxSetCurrent(contexts[device]) == CUDA_SUCCESS) }

    func makeStream() throws -> CUstream {
        var stream: CUstream?
        #expect(driver.cuStreamCreate(&stream, UInt32(CU_STREAM_NON_BLOCKING)) == CUDA_SUCCESS)
        return try #require(stream)
    }

    func makeEvent() throws -> CUevent {
        var event: CUevent?
        #expect(driver.cuEventCreate(&event, UInt32(CU_EVENT_DISABLE_TIMING)) == CUDA_SUCCESS)
        return try #require(event)
    }

    func allocate(_ bytes: Int) -> CUdeviceptr {
        var address = CUdeviceptr()
        #expect(driver.cuMemAlloc(&address, bytes) == CUDA_SUCCESS)
        return address
    }

    func free(_ addresses: CUdeviceptr...) {
        for address in addresses { #expect(driver.cuMemFree(address) == CUDA_SUCCESS) }
    }

    /// New memory that holds `values`.
    func upload<Value: BitwiseCopyable>(_ values: [Value], on stream: CUstream? = nil) -> CUdeviceptr {
        let bytes = values.count * MemoryLayout<Value>.stride
        let address = allocate(bytes)
        #expect(driver.cuMemcpyHtoDAsync(address, values, bytes, stream ?? self.stream) == CUDA_SUCCESS)
        return address
    }

    /// What lies there when everything on the stream is done.
    func download<Value: BitwiseCopyable>(
        _ count: Int, of value: Value, at address: CUdeviceptr, on stream: CUstream? = nil
    ) -> [Value] {
        var values = [Value](repeating: value, count: count)
        let bytes = count * MemoryLayout<Value>.stride
        _ = driver.cuMemcpyDtoHAsync(&values, address, bytes, stream ?? self.stream)
        return values
    }

    func launch(
        _ name: String, blocks: Int = 1, threads: Int, shared: Int = 0, on stream: CUstream? = nil,
        _ arguments: any BitwiseCopyable...
    ) -> CUresult {
        var function: CUfunction?
        let found = driver.cuModuleGetFunction(&function, module, name)
        guard let function else { return found }
        let words = UnsafeMutablePointer<UInt64>.allocate(capacity: arguments.count + 1)
        defer { words.deallocate() }
        var pointers: [UnsafeMutableRawPointer?] = []
        for (index, argument) in arguments.enumerated() {
            let place = UnsafeMutableRawPointer(words + index)
            place.store(argument)
            pointers.append(place)
        }
        return driver.cuLaunchKernel(
            function, UInt32(blocks), 1, 1, UInt32(threads), 1, 1, UInt32(shared), stream ?? self.stream, &pointers,
            nil)
    }
}

extension UnsafeMutableRawPointer {
    fileprivate func store(_ value: some BitwiseCopyable) { storeBytes(of: value, as: type(of: value)) }
}
