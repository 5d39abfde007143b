import CCUDA
import CUDAEmulation
import Testing

/// That work runs as late as it may and in any order that events allow, and that graphs repeat what was captured.
@Suite struct EmulatedStreamTests {
    @Test func pinnedMemoryIsReadWhenTheStreamComesToIt() throws {
        let device = try EmulatedDevice()
        var start: UnsafeMutableRawPointer?
        #expect(device.driver.cuMemHostAlloc(&start, 4, 0) == CUDA_SUCCESS)
        let pinned = try #require(start), x = device.allocate(4)
        pinned.storeBytes(of: 1, as: Float.self)
        #expect(device.driver.cuMemcpyHtoDAsync(x, pinned, 4, device.stream) == CUDA_SUCCESS)
        pinned.storeBytes(of: 2, as: Float.self)
        #expect(device.download(1, of: Float(0), at: x) == [2])
        #expect(device.driver.cuMemFreeHost(pinned) == CUDA_SUCCESS)
        device.free(x)
        #expect(device.close() == [])
    }

    /// What a second stream reads of what the first one writes, with this seed.
    private func read(seed: UInt64, waits: Bool) throws -> Float {
        let device = try EmulatedDevice { $0.seed = seed }
        let other = try device.makeStream(), event = try device.makeEvent()
        let x = device.allocate(4), y = device.allocate(4)
        #expect(device.launch("write_at", threads: 1, x, Int32(0), Float(1)) == CUDA_SUCCESS)
        #expect(device.driver.cuEventRecord(event, device.stream) == CUDA_SUCCESS)
        if waits { #expect(device.driver.cuStreamWaitEvent(other, event, 0) == CUDA_SUCCESS) }
        #expect(device.launch("scale_f32", threads: 32, on: other, x, Float(3), y, Int32(1)) == CUDA_SUCCESS)
        let result = device.download(1, of: Float(0), at: y, on: other)
        #expect(device.driver.cuStreamSynchronize(device.stream) == CUDA_SUCCESS)
        #expect(device.driver.cuEventDestroy(event) == CUDA_SUCCESS)
        #expect(device.driver.cuStreamDestroy(other) == CUDA_SUCCESS)
        device.free(x, y)
        #expect(device.close() == [])
        return result[0]
    }

    @Test func onlyEventsOrderStreams() throws {
        let seeds = UInt64(1)...20
        #expect(try seeds.allSatisfy { try read(seed: $0, waits: true) == 3 })
        let results = try seeds.map { try read(seed: $0, waits: false) }
        #expect(results.contains { $0.isNaN } && results.contains(3), "both orders come about")
    }

    @Test func eventsTellWhenTheyWereReached() throws {
        let device = try EmulatedDevice()
        let x = device.allocate(4), event = try device.makeEvent()
        #expect(device.driver.cuEventQuery(event) == CUDA_SUCCESS, "never recorded")
        #expect(device.launch("write_at", threads: 1, x, Int32(0), Float(1)) == CUDA_SUCCESS)
        #expect(device.driver.cuEventRecord(event, device.stream) == CUDA_SUCCESS)
        #expect(device.driver.cuEventQuery(event) == CUDA_ERROR_NOT_READY)
        while device.driver.cuEventQuery(event) == CUDA_ERROR_NOT_READY {}
        #expect(device.driver.cuStreamQuery(device.stream) == CUDA_SUCCESS)
        #expect(device.driver.cuEventDestroy(event) == CUDA_SUCCESS)
        #expect(device.driver.cuEventSynchronize(event) == CUDA_ERROR_INVALID_HANDLE)
        device.free(x)
        #expect(device.close() == [])
    }

    private func captured(on device: EmulatedDevice, _ body: () throws -> Void) rethrows -> (CUresult, CUgraph?) {
        let stream = device.stream
        #expect(device.driver.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) == CUDA_SUCCESS)
        try body()
        var graph: CUgraph?
        let result = device.driver.cuStreamEndCapture(stream, &graph)
        return (result, graph)
    }

    @Test func graphsRepeatTheArgumentsOfTheirCapture() throws {
        let device = try EmulatedDevice()
        let x = device.upload([Float(1)]), y = device.upload([Float(0)])
        var factor = Float(3)
        let (result, graph) = captured(on: device) {
            #expect(device.launch("scale_f32", threads: 32, x, factor, y, Int32(1)) == CUDA_SUCCESS)
        }
        #expect(result == CUDA_SUCCESS)
        factor = 100
        #expect(device.download(1, of: Float(0), at: y) == [0], "a capture runs nothing")
        var executable: CUgraphExec?
        #expect(device.driver.cuGraphInstantiateWithFlags(&executable, try #require(graph), 0) == CUDA_SUCCESS)
        let replayed = try #require(executable)
        #expect(device.driver.cuGraphLaunch(replayed, device.stream) == CUDA_SUCCESS)
        #expect(device.download(1, of: Float(0), at: y) == [3])
        let two = [Float(2)]
        #expect(device.driver.cuMemcpyHtoDAsync(x, two, 4, device.stream) == CUDA_SUCCESS)
        #expect(device.driver.cuGraphLaunch(replayed, device.stream) == CUDA_SUCCESS)
        #expect(device.download(1, of: Float(0), at: y) == [6], "memory is read at each replay")
        #expect(device.driver.cuGraphExecDestroy(replayed) == CUDA_SUCCESS)
        #expect(device.driver.cuGraphDestroy(try #require(graph)) == CUDA_SUCCESS)
        device.free(x, y)
        #expect(device.close() == [])
    }

    @Test func whatACaptureForbidsBreaksIt() throws {
        let device = try EmulatedDevice()
        let x = device.allocate(4)
        let forbidden: [() -> CUresult] = [
            {
                var address = CUdeviceptr()
                return device.driver.cuMemAlloc(&address, 16)
            },
            { device.driver.cuStreamSynchronize(device.stream) },
            { device.driver.cuCtxSynchronize() },
            { device.driver.cuMemcpyHtoDAsync(x, [Float(1)], 4, device.stream) },
        ]
        for call in forbidden {
            let (result, graph) = captured(on: device) { #expect(call() == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED) }
            #expect(result == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED)
            #expect(graph == nil)
        }
        device.free(x)
        #expect(device.close() == [])
    }

    @Test func aCaptureMayForkAndMustJoin() throws {
        let device = try EmulatedDevice()
        let other = try device.makeStream(), forked = try device.makeEvent(), joined = try device.makeEvent()
        let x = device.upload([Float(0)]), driver = device.driver
        for joins in [true, false] {
            let (result, graph) = captured(on: device) {
                _ = driver.cuEventRecord(forked, device.stream)
                _ = driver.cuStreamWaitEvent(other, forked, 0)
                #expect(device.launch("write_at", threads: 1, on: other, x, Int32(0), Float(1)) == CUDA_SUCCESS)
                _ = driver.cuEventRecord(joined, other)
                if joins { _ = driver.cuStreamWaitEvent(device.stream, joined, 0) }
            }
            #expect(result == (joins ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNJOINED))
            if let graph { #expect(driver.cuGraphDestroy(graph) == CUDA_SUCCESS) }
        }
        #expect(driver.cuStreamSynchronize(other) == CUDA_SUCCESS)
        #expect(driver.cuEventDestroy(forked) == CUDA_SUCCESS && driver.cuEventDestroy(joined) == CUDA_SUCCESS)
        #expect(driver.cuStreamDestroy(other) == CUDA_SUCCESS)
        device.free(x)
        #expect(device.close() == [])
    }

    @Test func launchesAreForTheCurrentDevice() throws {
        let device = try EmulatedDevice { $0.device_count = 2 }
        let x = device.allocate(4)
        device.use(1)
        #expect(device.launch("write_at", threads: 1, x, Int32(0), Float(1)) == CUDA_ERROR_INVALID_HANDLE)
        device.use(0)
        #expect(device.launch("write_at", threads: 1, x, Int32(0), Float(1)) == CUDA_SUCCESS)
        device.use(1)
        let y = device.allocate(4)
        #expect(
            device.driver.cuMemcpyPeerAsync(y, device.contexts[1], x, device.contexts[0], 4, device.stream)
                == CUDA_SUCCESS)
        #expect(device.download(1, of: Float(0), at: y) == [1])
        device.free(y)
        device.use(0)
        device.free(x)
        #expect(device.close() == [])
    }
}
