import CCUDA

/// A place in a stream's work that others wait for.
final class DeviceEvent {
    let handle: CUevent
    private let stream: DeviceStream

    init(on stream: DeviceStream) throws(CUDAError) {
        try stream.device.makeCurrent()
        var handle: CUevent?
        try stream.library.check(
            stream.library.api.cuEventCreate(&handle, UInt32(CU_EVENT_DISABLE_TIMING)), "cuEventCreate")
        guard let handle else { throw .failed(call: "cuEventCreate", code: 0, name: "no event") }
        self.handle = handle
        self.stream = stream
    }

    deinit {
        try? stream.device.makeCurrent()
        _ = stream.library.api.cuEventDestroy(handle)
    }

    /// The place is now behind everything that the stream was given.
    func record() throws(CUDAError) {
        try stream.library.check(stream.library.api.cuEventRecord(handle, stream.handle), "cuEventRecord")
    }

    /// Returns when the stream has come to the place; at once where it was never recorded.
    func synchronize() throws(CUDAError) {
        try stream.synchronize(handle)
    }
}
