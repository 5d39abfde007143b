import CCUDA

/// The tokens that were chosen last, by place: what rows begin with before the host has read them (D3).
final class KeptTokens {
    private let stream: DeviceStream
    private var memory: DeviceBuffer?
    /// Places 0 ..< count are there.
    private(set) var count = 0

    init(on stream: DeviceStream) { self.stream = stream }

    /// [count] of 32 bits; 0 where there are none.
    var address: CUdeviceptr { memory?.address ?? 0 }

    /// Makes room for `wanted` places; those that are there keep what they have.
    func reserve(_ wanted: Int) throws(CUDAError) {
        guard wanted > count else { return }
        let larger = max(1024, wanted, 2 * count)
        let made = try DeviceBuffer(larger * MemoryLayout<Int32>.stride, for: .workspace, on: stream)
        if count > 0 { try stream.copy(count * MemoryLayout<Int32>.stride, from: address, to: made.address) }
        (memory, count) = (made, larger)
    }
}
