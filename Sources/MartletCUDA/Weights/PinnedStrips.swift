import CCUDA

/// The way of weights to the device: two pieces of pinned memory, of which one is filled while the other is copied, so
/// that the host never holds a matrix twice.
final class PinnedStrips {
    private static let stripBytes = 8 << 20
    private let stream: DeviceStream
    private let pinned: PinnedBuffer
    /// Behind the copies out of each piece.
    private let copied: [DeviceEvent]
    private var turn = 0

    init(on stream: DeviceStream) throws(CUDAError) {
        self.stream = stream
        pinned = try PinnedBuffer(2 * Self.stripBytes, on: stream)
        copied = [try DeviceEvent(on: stream), try DeviceEvent(on: stream)]
    }

    /// Brings all rows of `planes` to `address`. `fill` puts some of them, as planes of their own, where it is told to.
    func copy(
        _ planes: BlockPlanes, to address: CUdeviceptr,
        fill: (_ rows: Range<Int>, _ strip: BlockPlanes, _ start: UnsafeMutableRawPointer) throws -> Void
    ) throws {
        let rowBytes = planes.fieldBytes.indices.reduce(0) { $0 + planes.rowBytes($1) }
        let room = Self.stripBytes - planes.fieldBytes.count * BlockPlanes.alignment
        for first in stride(from: 0, to: planes.rows, by: max(1, room / rowBytes)) {
            let rows = first..<min(first + max(1, room / rowBytes), planes.rows)
            guard let strip = BlockPlanes(planes.dtype, rows: rows.count, columns: planes.columns) else { return }
            precondition(strip.byteCount <= Self.stripBytes, "a row of \(rowBytes) bytes")
            let start = pinned.start + turn * Self.stripBytes
            try copied[turn].synchronize()
            try fill(rows, strip, start)
            for field in planes.fieldBytes.indices {
                try stream.copy(
                    rows.count * planes.rowBytes(field), from: start + strip.offsets[field],
                    to: address + UInt64(planes.offset(field, row: first)))
            }
            try copied[turn].record()
            turn = 1 - turn
        }
    }
}
