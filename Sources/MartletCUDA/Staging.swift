import CCUDA

/// The way of small data from the host to the device: pinned memory that is filled in a circle, and as much on the
/// device for what is read once. In halves: a half is written again when the copies out of it are done.
final class Staging {
    private static let usualHalfBytes = 4 << 20
    /// Memory of the device, unless told otherwise.
    static let mirrorBytes = 2 * usualHalfBytes

    private let stream: DeviceStream
    private let pinned: PinnedBuffer
    private let mirror: DeviceBuffer
    private let events: [DeviceEvent]
    private let halfBytes: Int
    private var half = 0
    /// From the half's start.
    private var used = 0

    init(on stream: DeviceStream, halfBytes: Int = usualHalfBytes) throws(CUDAError) {
        self.stream = stream
        self.halfBytes = halfBytes
        pinned = try PinnedBuffer(2 * halfBytes, on: stream)
        mirror = try DeviceBuffer(2 * halfBytes, for: .workspace, on: stream)
        events = [try DeviceEvent(on: stream), try DeviceEvent(on: stream)]
    }

    /// The values on the device, for what is put on the stream before they are overtaken: use them at once. At most
    /// half the staging memory.
    func put<Value: BitwiseCopyable>(_ values: [Value]) throws(CUDAError) -> CUdeviceptr {
        let bytes = values.count * MemoryLayout<Value>.stride
        let offset = try reserve(bytes)
        values.withUnsafeBytes { values in
            if let base = values.baseAddress { (pinned.start + offset).copyMemory(from: base, byteCount: bytes) }
        }
        try stream.copy(bytes, from: pinned.start + offset, to: mirror.address + UInt64(offset))
        return mirror.address + UInt64(offset)
    }

    /// Copies `bytes` to `target`; they may be changed at once.
    func copy(_ bytes: UnsafeRawBufferPointer, to target: CUdeviceptr) throws(CUDAError) {
        guard let base = bytes.baseAddress else { return }
        var start = 0
        while start < bytes.count {
            let count = min(bytes.count - start, halfBytes)
            try fill(count, to: target + UInt64(start)) { $0.copyMemory(from: base + start, byteCount: count) }
            start += count
        }
    }

    /// The same of an array.
    func copy<Value: BitwiseCopyable>(_ values: [Value], to target: CUdeviceptr) throws(CUDAError) {
        var failure: CUDAError?
        values.withUnsafeBytes { bytes in
            do throws(CUDAError) { try copy(bytes, to: target) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Has `body` write `count` bytes, at most half the staging memory, and copies them to `target`.
    func fill(_ count: Int, to target: CUdeviceptr, _ body: (UnsafeMutableRawPointer) -> Void) throws(CUDAError) {
        let offset = try reserve(count)
        body(pinned.start + offset)
        try stream.copy(count, from: pinned.start + offset, to: target)
    }

    /// Where `count` bytes may be written.
    private func reserve(_ count: Int) throws(CUDAError) -> Int {
        precondition(count <= halfBytes, "\(count) bytes in a half of \(halfBytes)")
        if used + count > halfBytes {
            try events[half].record()
            half = 1 - half
            used = 0
            try events[half].synchronize()
        }
        defer { used = (used + count + 255) / 256 * 256 }
        return half * halfBytes + used
    }
}
