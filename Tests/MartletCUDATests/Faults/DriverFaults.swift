import CCUDA
import CUDAEmulation
import Testing

/// Wrong uses of the driver and its libraries, as a backend might make them.
enum DriverFaults {
    static let all = [
        PlantedFault("no wait for the event of another stream", missingWait),
        PlantedFault("an event recorded before the work that it stands for", earlyRecord),
        PlantedFault("a kernel's memory freed before the kernel ran", earlyFree),
        PlantedFault("pinned memory written again before its copy was made", reusedStaging),
        PlantedFault("a result read before the stream came to its copy", earlyRead),
        PlantedFault("a launch argument that varies inside a graph", varyingArgument),
        PlantedFault("memory that nobody wrote", unwrittenMemory),
        PlantedFault("a value more than the memory holds", beyondTheEnd),
        PlantedFault("memory asked for in a capture", allocationInCapture),
        PlantedFault("memory that nobody frees", leak),
        PlantedFault("ranks that sum different counts", unequalCounts),
    ]

    /// Whether `body` finds a wrong value with some seed, or leaves a complaint.
    private static func tried(
        seeds: ClosedRange<UInt64> = 1...8, _ body: (EmulatedDevice) throws -> Bool
    ) throws -> Bool {
        for seed in seeds {
            let device = try EmulatedDevice { $0.seed = seed }
            let isWrong = try body(device)
            if !device.close().isEmpty || isWrong { return true }
        }
        return false
    }

    private static func missingWait() throws -> Bool { try crossing { _, _, _ in } }

    private static func earlyRecord() throws -> Bool {
        try crossing { device, event, other in
            _ = device.driver.cuStreamWaitEvent(other, event, 0)
        }
    }

    /// One stream writes, another reads; `between` orders them, with an event that was recorded first of all.
    private static func crossing(_ between: (EmulatedDevice, CUevent, CUstream) -> Void) throws -> Bool {
        try tried { device in
            let other = try device.makeStream(), event = try device.makeEvent()
            let x = device.upload([Float(0)]), y = device.allocate(4)
            _ = device.driver.cuStreamSynchronize(device.stream)
            _ = device.driver.cuEventRecord(event, device.stream)
            _ = device.launch("write_at", threads: 1, x, Int32(0), Float(1))
            between(device, event, other)
            _ = device.launch("scale_f32", threads: 32, on: other, x, Float(3), y, Int32(1))
            let result = device.download(1, of: Float(0), at: y, on: other)
            _ = device.driver.cuStreamSynchronize(device.stream)
            _ = device.driver.cuEventDestroy(event)
            _ = device.driver.cuStreamDestroy(other)
            device.free(x, y)
            return result != [3]
        }
    }

    private static func earlyFree() throws -> Bool {
        try tried { device in
            let x = device.allocate(1024)
            _ = device.launch("write_at", threads: 1, x, Int32(3), Float(1))
            device.free(x)
            return device.driver.cuStreamSynchronize(device.stream) != CUDA_SUCCESS
        }
    }

    private static func withPinned(
        _ body: (EmulatedDevice, UnsafeMutableRawPointer) throws -> Bool
    ) throws -> Bool {
        try tried { device in
            var start: UnsafeMutableRawPointer?
            _ = device.driver.cuMemHostAlloc(&start, 4, 0)
            let pinned = try #require(start)
            let isWrong = try body(device, pinned)
            _ = device.driver.cuMemFreeHost(pinned)
            return isWrong
        }
    }

    private static func reusedStaging() throws -> Bool {
        try withPinned { device, pinned in
            let x = device.allocate(8)
            for index in 0..<2 {
                pinned.storeBytes(of: Float(index + 1), as: Float.self)
                _ = device.driver.cuMemcpyHtoDAsync(x + UInt64(4 * index), pinned, 4, device.stream)
            }
            let result = device.download(2, of: Float(0), at: x)
            device.free(x)
            return result != [1, 2]
        }
    }

    private static func earlyRead() throws -> Bool {
        try withPinned { device, pinned in
            let x = device.upload([Float(7)])
            _ = device.driver.cuMemcpyDtoHAsync(pinned, x, 4, device.stream)
            let result = pinned.load(as: Float.self)
            _ = device.driver.cuStreamSynchronize(device.stream)
            device.free(x)
            return result != 7
        }
    }

    private static func varyingArgument() throws -> Bool {
        try tried { device in
            let driver = device.driver, x = device.upload([Float(1)]), y = device.allocate(4)
            var graph: CUgraph?, executable: CUgraphExec?
            _ = driver.cuStreamBeginCapture(device.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
            var step = Float(1)
            _ = device.launch("scale_f32", threads: 32, x, step, y, Int32(1))
            _ = driver.cuStreamEndCapture(device.stream, &graph)
            let captured = try #require(graph)
            _ = driver.cuGraphInstantiateWithFlags(&executable, captured, 0)
            let replayed = try #require(executable)
            step = 2
            _ = driver.cuGraphLaunch(replayed, device.stream)
            let result = device.download(1, of: Float(0), at: y)
            _ = driver.cuGraphExecDestroy(replayed)
            _ = driver.cuGraphDestroy(captured)
            device.free(x, y)
            return result != [step]
        }
    }

    private static func unwrittenMemory() throws -> Bool {
        try tried { device in
            let x = device.allocate(4), y = device.allocate(4)
            _ = device.launch("scale_f32", threads: 32, x, Float(0), y, Int32(1))
            let result = device.download(1, of: Float(0), at: y)
            device.free(x, y)
            return result != [0]
        }
    }

    private static func beyondTheEnd() throws -> Bool {
        try tried { device in
            let x = device.upload([Float](repeating: 1, count: 11)), y = device.allocate(40)
            _ = device.launch("scale_f32", threads: 32, x, Float(1), y, Int32(11))
            return device.driver.cuStreamSynchronize(device.stream) != CUDA_SUCCESS
        }
    }

    private static func allocationInCapture() throws -> Bool {
        try tried { device in
            var address = CUdeviceptr(), graph: CUgraph?
            _ = device.driver.cuStreamBeginCapture(device.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
            _ = device.driver.cuMemAlloc(&address, 16)
            return device.driver.cuStreamEndCapture(device.stream, &graph) != CUDA_SUCCESS
        }
    }

    private static func leak() throws -> Bool {
        try tried { device in
            _ = device.allocate(16)
            return false
        }
    }

    /// Both ranks on one thread: each stream is given its part, and then they work.
    private static func unequalCounts() throws -> Bool {
        let device = try EmulatedDevice { $0.device_count = 2 }
        let nccl = device.cuda.nccl
        var id = ncclUniqueId(), communicators: [ncclComm_t?] = [nil, nil], streams: [CUstream] = []
        _ = nccl.ncclGetUniqueId(&id)
        _ = nccl.ncclGroupStart()
        for rank in 0..<2 {
            device.use(rank)
            _ = nccl.ncclCommInitRank(&communicators[rank], 2, id, Int32(rank))
            streams.append(try device.makeStream())
        }
        _ = nccl.ncclGroupEnd()
        for rank in 0..<2 {
            device.use(rank)
            let x = devicePointer(device.upload([Float(1), 2], on: streams[rank]))
            let communicator = try #require(communicators[rank])
            _ = nccl.ncclAllReduce(x, x, 2 - rank, ncclFloat32, ncclSum, communicator, streams[rank])
        }
        _ = device.driver.cuStreamSynchronize(streams[0])
        return device.close().contains { $0.hasPrefix("ranks brought different things") }
    }
}
