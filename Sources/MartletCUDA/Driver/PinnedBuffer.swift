import CCUDA

/// Memory of the host that a device copies from and to while the host goes on.
final class PinnedBuffer {
    let start: UnsafeMutableRawPointer
    let byteCount: Int
    private let stream: DeviceStream

    init(_ byteCount: Int, on stream: DeviceStream) throws(CUDAError) {
        try stream.device.makeCurrent()
        var start: UnsafeMutableRawPointer?
        try stream.library.check(stream.library.api.cuMemHostAlloc(&start, max(byteCount, 1), 0), "cuMemHostAlloc")
        guard let start else { throw .failed(call: "cuMemHostAlloc", code: 0, name: "no memory") }
        self.start = start
        self.byteCount = byteCount
        self.stream = stream
    }

    deinit {
        stream.settle()
        _ = stream.library.api.cuMemFreeHost(start)
    }
}
