import CCUDA
import MartletParallel

/// Exchanges between ranks on GPUs of their own by NCCL: all of it work of the stream, which no host waits for, so that
/// steps with it can be written down. NCCL only carries: sums are made by a kernel, in order of rank (D6), so that they
/// have the same bits whichever way ranks exchange.
final class NCCLExchange {
    /// Elements of a rank's piece of the memory where all that is to be summed arrives.
    static let pieceCount = 1 << 20
    /// Up to so many elements every rank sends all of them to all the others; more it sends in slices, each to the rank
    /// that sums it for all, which takes a second exchange. Of two ranks, both ways send as much.
    static func wholeCount(ofRanks count: Int) -> Int { count == 2 ? pieceCount : 1 << 16 }
    /// Slices begin where memory does that is read at once.
    private static let grain = 16

    private let stream: DeviceStream
    private let communicator: NCCLCommunicator
    private let rank, size: Int
    /// [ranks][pieceCount].
    private let parts: DeviceBuffer
    /// Of every rank's piece.
    private let addresses: DeviceBuffer

    /// `ranks`: those of `communicator`.
    init(
        _ communicator: NCCLCommunicator, ranks: any Communicator, on stream: DeviceStream, by staging: Staging
    ) throws(CUDAError) {
        (self.stream, self.communicator) = (stream, communicator)
        (rank, size) = (ranks.rank, ranks.size)
        parts = try DeviceBuffer(size * Self.pieceCount * 4, for: .workspace, on: stream)
        addresses = try DeviceBuffer(size * 8, for: .workspace, on: stream)
        let start = parts.address
        try staging.copy((0..<size).map { start + UInt64($0 * Self.pieceCount * 4) }, to: addresses.address)
        stream.exchanges = communicator
    }

    /// x = the sum of every rank's x, [count].
    func sum(_ count: Int, at x: CUdeviceptr, by backend: CUDABackend) throws(CUDAError) {
        if count <= Self.wholeCount(ofRanks: size) { return try sumWhole(count, at: x, by: backend) }
        for first in stride(from: 0, to: count, by: size * Self.pieceCount) {
            try sumSlices(min(size * Self.pieceCount, count - first), at: element(first, of: x), by: backend)
        }
    }

    private func sumWhole(_ count: Int, at x: CUdeviceptr, by backend: CUDABackend) throws(CUDAError) {
        try communicator.together { () throws(CUDAError) in
            for other in 0..<size {
                try communicator.send(count, at: x, to: other, on: stream)
                try receivePart(count, from: other)
            }
        }
        try backend.sumRanks(count, of: size, parts: addresses.address, into: x)
    }

    private func sumSlices(_ count: Int, at x: CUdeviceptr, by backend: CUDABackend) throws(CUDAError) {
        let slices = slices(of: count), own = slices[rank]
        try communicator.together { () throws(CUDAError) in
            for other in 0..<size {
                let its = slices[other]
                try communicator.send(its.count, at: element(its.lowerBound, of: x), to: other, on: stream)
                try receivePart(own.count, from: other)
            }
        }
        if !own.isEmpty {
            try backend.sumRanks(
                own.count, of: size, parts: addresses.address, into: element(own.lowerBound, of: x))
        }
        try gather([slices], at: x)
    }

    /// Of [count], a slice for each rank; the last may be empty.
    private func slices(of count: Int) -> [Range<Int>] {
        let grains = (count + Self.grain - 1) / Self.grain
        return (0..<size).map { rank in
            let bound = { (rank: Int) in min(count, grains * rank / self.size * Self.grain) }
            return bound(rank)..<bound(rank + 1)
        }
    }

    private func receivePart(_ count: Int, from other: Int) throws(CUDAError) {
        let place = parts.address + UInt64(other * Self.pieceCount * 4)
        try communicator.receive(count, at: place, from: other, on: stream)
    }

    /// x, dense rows of `widths` in order of rank, has every rank's columns, where each brings its own in place.
    func gather(_ widths: [Int], rows: Int, at x: CUdeviceptr) throws(CUDAError) {
        let width = widths.reduce(0, +)
        try gather(
            (0..<rows).map { row in
                var start = row * width
                return widths.map { width in
                    defer { start += width }
                    return start..<start + width
                }
            }, at: x)
    }

    /// `places`: of every row, where each rank's elements are.
    private func gather(_ places: [[Range<Int>]], at x: CUdeviceptr) throws(CUDAError) {
        try communicator.together { () throws(CUDAError) in
            for row in places {
                for other in 0..<size where other != rank {
                    let (own, its) = (row[rank], row[other])
                    try communicator.send(own.count, at: element(own.lowerBound, of: x), to: other, on: stream)
                    try communicator.receive(its.count, at: element(its.lowerBound, of: x), from: other, on: stream)
                }
            }
        }
    }

    /// x = rank `root`'s x, [count].
    func broadcast(_ count: Int, at x: CUdeviceptr, from root: Int) throws(CUDAError) {
        try communicator.broadcast(count, at: x, from: root, on: stream)
    }

    private func element(_ index: Int, of x: CUdeviceptr) -> CUdeviceptr { x + UInt64(index * 4) }
}
