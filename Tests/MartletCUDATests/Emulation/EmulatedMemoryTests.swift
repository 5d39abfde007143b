import CCUDA
import CUDAEmulation
import Testing

/// That memory is as unforgiving as it may be, and that errors come where they are planted.
@Suite struct EmulatedMemoryTests {
    @Test func newMemoryIsNaN() throws {
        let device = try EmulatedDevice()
        let x = device.allocate(40)
        #expect(x % 256 == 0)
        #expect(device.download(10, of: Float(0), at: x).allSatisfy { $0.isNaN })
        device.free(x)
        #expect(device.close() == [])
    }

    @Test func memoryRunsOutAndComesBack() throws {
        let device = try EmulatedDevice { $0.memory_bytes = 1 << 20 }
        let x = device.allocate(1 << 19)
        var address = CUdeviceptr(), free = 0, total = 0
        #expect(device.driver.cuMemAlloc(&address, 1 << 19 + 1) == CUDA_ERROR_OUT_OF_MEMORY)
        #expect(device.driver.cuMemGetInfo(&free, &total) == CUDA_SUCCESS)
        #expect(free == 1 << 19 && total == 1 << 20)
        device.free(x)
        device.free(device.allocate(1 << 20))
        #expect(device.close() == [])
    }

    @Test func aKernelCannotTouchWhatWasFreed() throws {
        let device = try EmulatedDevice()
        let y = device.allocate(4096)
        #expect(device.launch("write_at", threads: 1, y, Int32(0), Float(1)) == CUDA_SUCCESS)
        device.free(y)
        #expect(device.driver.cuStreamSynchronize(device.stream) == CUDA_ERROR_ILLEGAL_ADDRESS)
        #expect(device.close() == ["write_at: block (0, 0, 0), thread 0: touched an address that is no memory"])
    }

    /// Just beyond the end, where nothing faults, and far beyond; just before the start.
    @Test(arguments: [10, 100_000, -1, -100_000])
    func aKernelCannotWriteBesideAnAllocation(_ index: Int) throws {
        let device = try EmulatedDevice()
        let y = device.allocate(40)
        #expect(device.launch("write_at", threads: 1, y, Int32(index), Float(1)) == CUDA_SUCCESS)
        #expect(device.driver.cuStreamSynchronize(device.stream) == CUDA_ERROR_ILLEGAL_ADDRESS)
        #expect(device.close().first?.hasPrefix("write_at: ") == true)
    }

    @Test func copiesAreChecked() throws {
        let device = try EmulatedDevice()
        let x = device.allocate(16), zeros = [UInt8](repeating: 0, count: 32)
        let driver = device.driver
        #expect(driver.cuMemcpyHtoDAsync(x, zeros, 17, device.stream) == CUDA_ERROR_INVALID_VALUE)
        #expect(driver.cuMemcpyDtoDAsync(x, x + 12, 8, device.stream) == CUDA_ERROR_INVALID_VALUE)
        #expect(driver.cuMemsetD32Async(x + 2, 0, 1, device.stream) == CUDA_ERROR_INVALID_VALUE)
        #expect(driver.cuMemFree(x + 4) == CUDA_ERROR_INVALID_VALUE)
        device.free(x)
        #expect(driver.cuMemFree(x) == CUDA_ERROR_INVALID_VALUE)
        #expect(device.close() == [])
    }

    @Test func whatIsNotGivenBackIsToldAtTheEnd() throws {
        let device = try EmulatedDevice()
        _ = device.allocate(16)
        _ = try device.makeEvent()
        #expect(device.close() == ["never destroyed: an event", "never freed: 1 allocations of device 0"])
    }

    @Test func aPlantedErrorComesOnceInItsCall() throws {
        let device = try EmulatedDevice()
        var address = CUdeviceptr()
        #expect(martlet_emulation_plant(device.emulation, "cuMemAlloc", 2, 2) == 1)
        #expect(martlet_emulation_plant(device.emulation, "cuNothing", 1, 2) == 0)
        let x = device.allocate(16)
        #expect(device.driver.cuMemAlloc(&address, 16) == CUDA_ERROR_OUT_OF_MEMORY)
        device.free(x, device.allocate(16))
        #expect(martlet_emulation_calls(device.emulation, "cuMemAlloc") == 3)
        #expect(device.close() == [])
    }

    @Test func aLostDeviceStaysLost() throws {
        let device = try EmulatedDevice { $0.device_count = 2 }
        let x = device.allocate(16)
        martlet_emulation_lose(device.emulation, 0, 2, CUDA_ERROR_LAUNCH_FAILED)
        _ = device.allocate(16)
        #expect(device.driver.cuStreamSynchronize(device.stream) == CUDA_ERROR_LAUNCH_FAILED)
        #expect(device.driver.cuMemFree(x) == CUDA_ERROR_LAUNCH_FAILED)
        device.use(1)
        device.free(device.allocate(16))
        #expect(device.close() == [])
    }
}
