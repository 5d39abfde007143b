/// Memory of the host for what comes from the device while the host goes on. A place is one's own until it is given
/// back, and is used again: making one waits for the device.
final class ResultPlaces {
    /// Memory, and when it has what is on its way.
    final class Place {
        let memory: PinnedBuffer
        let arrived: DeviceEvent

        init(_ byteCount: Int, on stream: DeviceStream) throws(CUDAError) {
            memory = try PinnedBuffer(byteCount, on: stream)
            arrived = try DeviceEvent(on: stream)
        }
    }

    private let stream: DeviceStream
    private var free: [Place] = []

    init(on stream: DeviceStream) { self.stream = stream }

    /// Room for `bytes`, with undefined contents.
    func take(_ bytes: Int) throws(CUDAError) -> Place {
        if let index = free.lastIndex(where: { $0.memory.byteCount >= bytes }) { return free.remove(at: index) }
        // One that is too small would be so again.
        free.removeAll()
        return try Place(max(bytes, 16 << 10), on: stream)
    }

    /// Nothing is on its way there any more.
    func giveBack(_ place: Place) { free.append(place) }
}
