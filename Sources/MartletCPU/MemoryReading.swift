import MartletTensor

/// Reads memory and does next to nothing with it: what bounds a product of one row.
///
/// `@unchecked Sendable`: the memory is only read, and by then nobody writes it.
package struct MemoryReading: @unchecked Sendable {
    /// Pieces that a thread reads at a time.
    private var pieces: [UnsafeRawBufferPointer] = []
    /// What the memory belongs to.
    private let owners: [AnyObject]

    private static let pieceBytes = 1 << 20

    /// Of the weights of `matrices`, where they lie.
    package init(_ matrices: [CPUBackend.Matrix]) {
        owners = matrices
        for matrix in matrices {
            for segment in matrix.segments {
                let bytes = segment.panelCount * CPUBackend.Matrix.panelBytes(segment.dtype, columns: matrix.columns)
                add(UnsafeRawBufferPointer(start: segment.start, count: bytes))
            }
        }
    }

    /// Of activations that are dense.
    package init(_ x: Activation<CPUBackend.Storage>) {
        precondition(x.stride == x.width, "rows apart")
        owners = [x.storage]
        add(UnsafeRawBufferPointer(UnsafeBufferPointer(start: x.start, count: x.rows * x.width)))
    }

    private mutating func add(_ memory: UnsafeRawBufferPointer) {
        for start in stride(from: 0, to: memory.count, by: Self.pieceBytes) {
            let end = min(start + Self.pieceBytes, memory.count)
            pieces.append(UnsafeRawBufferPointer(rebasing: memory[start..<end]))
        }
    }

    package var byteCount: Int { pieces.reduce(0) { $0 + $1.count } }

    /// Reads all of it once, with all threads of the pool.
    package func read(by pool: ThreadPool) {
        pool.parallel(pieces.count) { Self.read(pieces[$0]) }
    }

    private static func read(_ memory: UnsafeRawBufferPointer) {
        typealias Line = SIMD16<UInt32>
        var sums = (Line.zero, Line.zero, Line.zero, Line.zero)
        for offset in stride(from: 0, to: memory.count / 256 * 256, by: 4 * MemoryLayout<Line>.size) {
            sums.0 |= memory.load(fromByteOffset: offset, as: Line.self)
            sums.1 |= memory.load(fromByteOffset: offset + 64, as: Line.self)
            sums.2 |= memory.load(fromByteOffset: offset + 128, as: Line.self)
            sums.3 |= memory.load(fromByteOffset: offset + 192, as: Line.self)
        }
        // Never so with what is there: but the loop must not be dropped.
        let sum = sums.0 | sums.1 | sums.2 | sums.3
        if sum[0] == 0 { consume(sum) }
    }

    @inline(never) private static func consume(_ line: SIMD16<UInt32>) {}
}
