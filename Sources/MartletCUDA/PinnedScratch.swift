/// Memory of the host for what comes from the device, as large as it was ever needed. Whoever uses it waits for the
/// stream before anybody else does.
final class PinnedScratch {
    private let stream: DeviceStream
    private var memory: PinnedBuffer?

    init(on stream: DeviceStream) { self.stream = stream }

    /// At least `bytes`, with undefined contents.
    func room(_ bytes: Int) throws(CUDAError) -> UnsafeMutableRawPointer {
        if let memory, memory.byteCount >= bytes { return memory.start }
        memory = nil
        let made = try PinnedBuffer(bytes, on: stream)
        memory = made
        return made.start
    }
}
