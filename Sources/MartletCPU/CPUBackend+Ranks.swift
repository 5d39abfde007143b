import MartletParallel
import MartletTensor

// MARK: - Ranks

extension CPUBackend {
    package var rank: Int { communicator.rank }
    package var rankCount: Int { communicator.size }

    package func allReduce(_ x: Activation<Storage>) throws {
        guard rankCount > 1 else { return }
        precondition(x.stride == x.width, "rows with gaps between them")
        try communicator.allReduce(UnsafeMutableBufferPointer(start: x.start, count: x.rows * x.width))
    }

    package func allGather(_ widths: [Int], of x: Activation<Storage>) throws {
        guard rankCount > 1 else { return }
        for row in 0..<x.rows {
            try communicator.allGather(widths, in: UnsafeMutableBufferPointer(start: x.row(row), count: x.width))
        }
    }

    package func broadcast(_ x: Activation<Storage>, from root: Int) throws {
        guard rankCount > 1 else { return }
        precondition(x.stride == x.width, "rows with gaps between them")
        let floats = UnsafeMutableBufferPointer(start: x.start, count: x.rows * x.width)
        try communicator.broadcast(UnsafeMutableRawBufferPointer(floats), from: root)
    }

    package func agrees(on value: UInt64) throws -> Bool { try communicator.agrees(on: value) }
}
