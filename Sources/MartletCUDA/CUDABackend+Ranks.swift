import CCUDA
import MartletParallel
import MartletTensor

// MARK: - Ranks

extension CUDABackend {
    package var rank: Int { communicator.rank }
    package var rankCount: Int { communicator.size }

    /// How the ranks exchange, in words; nil for one rank alone. Finds it out where that has not been done, which every
    /// rank does at the same place: before memory is counted, of which NCCL takes some.
    package func rankExchangeSummary() throws -> String? {
        guard rankCount > 1 else { return nil }
        _ = try performThrowing { try ranks.means(staging) }
        return ranks.summary
    }

    /// Whether a step runs from its rows to its tokens without the host, where the ranks have met.
    package var runsWithoutHost: Bool { rankCount == 1 || ranks.isOnStream }

    package func allReduce(_ x: Activation<Storage>) throws {
        guard rankCount > 1 else { return }
        precondition(x.stride == x.width && x.dtype == .f32, "not dense rows of f32")
        try performThrowing {
            let count = x.rows * x.width
            switch try ranks.means(staging) {
            case .nccl(let exchange): try exchange.sum(count, at: x.address, by: self)
            case .peers(let exchange): try exchange.sum(count, at: x.address, by: self)
            case .host: try throughHost(x) { try communicator.allReduce($0) }
            }
        }
    }

    package func allGather(_ widths: [Int], of x: Activation<Storage>) throws {
        guard rankCount > 1 else { return }
        precondition(x.stride == x.width && x.dtype == .f32, "not dense rows of f32")
        precondition(widths.count == rankCount && widths.reduce(0, +) == x.width, "\(widths) of \(x.width) columns")
        try performThrowing {
            if case .nccl(let exchange) = try ranks.means(staging) {
                return try exchange.gather(widths, rows: x.rows, at: x.address)
            }
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
            if case .nccl(let exchange) = try ranks.means(staging) {
                return try exchange.broadcast(x.rows * x.width, at: x.address, from: root)
            }
            try throughHost(x) { try communicator.broadcast(UnsafeMutableRawBufferPointer($0), from: root) }
        }
    }

    /// x = the sum of the parts, [count] each, in order of rank; `parts`: where their addresses are.
    func sumRanks(_ count: Int, of size: Int, parts: CUdeviceptr, into x: CUdeviceptr) throws(CUDAError) {
        // A block of threads sums up 1024 elements.
        try launch(
            KernelName(.sumRanks), grid: ((count + 1023) / 1024, 1, 1), threads: 256, x, parts, Int32(size),
            Int64(count))
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
