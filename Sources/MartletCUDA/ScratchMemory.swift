import CCUDA

/// Working memory of operations, each piece as large as it was ever needed. The stream is the order of its uses, so
/// that every operation may have all of it.
final class ScratchMemory {
    /// Who needs it: what is in use at the same time.
    enum Use: Int, CaseIterable {
        /// Operands of a product, narrowed.
        case operands
        /// Rows of a quantised matrix, as a dense one.
        case weights
        /// Partial sums of attention.
        case attention
        /// Where the rows of a step are.
        case batch
        case adjustedLogits, tokenWeights, sampleEdits, sampleResults
    }

    private let stream: DeviceStream
    private var pieces: [DeviceBuffer?]
    /// Counts the pieces that moved: what remembers addresses is then out of date.
    private(set) var generation = 0

    init(on stream: DeviceStream) {
        self.stream = stream
        pieces = Array(repeating: nil, count: Use.allCases.count)
    }

    /// At least `bytes` for `use`, with undefined contents.
    func address(_ use: Use, bytes: Int) throws(CUDAError) -> CUdeviceptr {
        if let piece = pieces[use.rawValue], piece.byteCount >= bytes { return piece.address }
        // The smaller one is given back first.
        pieces[use.rawValue] = nil
        generation += 1
        let piece = try DeviceBuffer(bytes, for: .workspace, on: stream)
        pieces[use.rawValue] = piece
        return piece.address
    }
}
