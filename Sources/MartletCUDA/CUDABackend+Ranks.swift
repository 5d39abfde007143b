import CCUDA
import MartletParallel
import MartletTensor

// MARK: - Ranks

extension CUDABackend {
    package var rank: Int { communicator.rank }
    package var rankCount: Int { communicator.size }

    package func allReduce(_ x: Activation<Storage>) throws {
        guard rankCount > 1 else { return }
        precondition(x.stride == x.width && x.dtype == .f32, "not dense rows of f32")
        try performThrowing {
            if let peers, try peers.sum(x.rows * x.width, at: x.address, by: self) { return }
            try throughHost(x) { try communicator.allReduce($0) }
        }
    }

    package func allGather(_ widths: [Int], of x: Activation<Storage>) throws {
        guard rankCount > 1 else { return }
        precondition(x.stride == x.width && x.dtype == .f32, "not dense rows of f32")
        try performThrowing {
            try throughHost(x) { all in
                for row in 0..<x.rows {
                    let row = all[row * x.width..<(row + 1) * x.width]
                    try communicator.allGather(widths, in: UnsafeMutableBufferPointer(rebasing: row))
                }
            }
        }
    }

    package func broadcast(_ x: Activation<Storage>, from root: Int) throws {
        guard rankCount > 1 else { return }
        precondition(x.stride == x.width && x.dtype == .f32, "not dense rows of f32")
        try performThrowing {
            try throughHost(x) { try communicator.broadcast(UnsafeMutableRawBufferPointer($0), from: root) }
        }
    }

    package func agrees(on value: UInt64) throws -> Bool { try communicator.agrees(on: value) }

    /// Exchanges dense rows in the host's memory.
    private func throughHost(
        _ x: Activation<Storage>, _ exchange: (UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws {
        let count = x.rows * x.width, bytes = count * MemoryLayout<Float>.stride
        let start = try arrivals.room(bytes)
        try stream.copy(bytes, from: x.address, to: start)
        try stream.synchronize()
        try exchange(UnsafeMutableBufferPointer(start: start.assumingMemoryBound(to: Float.self), count: count))
        try stream.copy(bytes, from: UnsafeRawPointer(start), to: x.address)
        // The memory is anybody's when the copy is done.
        try stream.synchronize()
    }
}
