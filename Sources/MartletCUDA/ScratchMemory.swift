import CCUDA

/// Working memory of operations, each piece as large as it was ever needed. The stream is the order of its uses, so
/// that every operation may have all of it. Steps that are written down have pieces of their own, which nothing else
/// moves.
final class ScratchMemory {
    /// Who needs it: what is in use at the same time.
    enum Use: Int, CaseIterable {
        /// Operands of a product, narrowed.
        case operands
        /// The same, quantised to 8 bits, and the product's sums.
        case quantizedOperands, sums
        /// Rows of a quantised matrix, as a dense one.
        case weights
        /// Partial sums of attention.
        case attention
        /// Where the rows of a step are.
        case batch
        case adjustedLogits, tokenWeights, sampleEdits, sampleResults
    }

    private let stream: DeviceStream
    /// By `Use`, of steps that are written down, and of all else.
    private var pieces: [[DeviceBuffer?]]
    private var generations = [0, 0]
    private var moveCount = 0
    /// 1 while a step is, or may be, written down.
    private var set = 0

    /// Another one after a piece has moved: what remembers addresses is then out of date.
    var generation: Int { generations[set] }

    init(on stream: DeviceStream) {
        self.stream = stream
        pieces = Array(repeating: Array(repeating: nil, count: Use.allCases.count), count: 2)
    }

    /// Runs `body` with the memory of steps that are written down.
    func whileWrittenDown<Result>(_ body: () throws -> Result) rethrows -> Result {
        set = 1
        defer { set = 0 }
        return try body()
    }

    /// At least `bytes` for `use`, with undefined contents.
    func address(_ use: Use, bytes: Int) throws(CUDAError) -> CUdeviceptr {
        if let piece = pieces[set][use.rawValue], piece.byteCount >= bytes { return piece.address }
        // The smaller one is given back first.
        pieces[set][use.rawValue] = nil
        moveCount += 1
        generations[set] = moveCount
        let piece = try DeviceBuffer(bytes, for: .workspace, on: stream)
        pieces[set][use.rawValue] = piece
        return piece.address
    }
}
