import CMartletKernels
import MartletTensor
import Synchronization

// MARK: - Weights

extension CPUBackend {
    /// Panel by panel from the source, in parallel: never more than the packed matrix and some rows a thread.
    /// Throws `WeightError` when a tensor is missing, a slice does not fit it, or a value does not fit `dtype`;
    /// `MemoryError`.
    package func loadMatrix(
        _ slices: [MatrixSlice], from source: any WeightSource, dtype: DType?
    ) throws -> Matrix {
        let pieces = try slices.map { try StoredSlice($0, in: source, dtype: dtype) }
        guard let first = pieces.first else { throw WeightError(file: "checkpoint", reason: "a matrix of no slices") }
        for piece in pieces where piece.slice.columns.count != first.slice.columns.count {
            throw piece.error(
                "\(piece.slice.columns.count) columns, while \(first.slice.name) has \(first.slice.columns.count)")
        }
        let parts = segments(of: pieces)
        let matrix = try Matrix(parts.map { ($0.dtype, $0.rows) }, columns: first.slice.columns.count)
        var jobs: [PanelJob] = []
        for (segment, part) in zip(matrix.segments, parts) {
            var row = 0
            for piece in part.pieces {
                for start in stride(from: 0, to: piece.slice.rows.count, by: Matrix.panelRows) {
                    let count = min(Matrix.panelRows, piece.slice.rows.count - start)
                    let lower = piece.slice.rows.lowerBound + start
                    let panel = matrix.panel((row + start) / Matrix.panelRows, of: segment)
                    jobs.append(PanelJob(piece: piece, rows: lower..<lower + count, panel: panel))
                }
                row += piece.slice.rows.count
            }
        }
        try parallelThrowing(jobs.count) { try pack(jobs[$0], from: source) }
        for name in Set(slices.map(\.name)) { source.discard(name) }
        return matrix
    }

    package func loadVector(_ slices: [MatrixSlice], from source: any WeightSource) throws -> Vector {
        var values: [Float] = []
        for slice in slices {
            let piece = try StoredSlice(slice, in: source, dtype: nil)
            values += piece.info.dtype.isQuantized
                ? try quantizedValues(piece, from: source) : try plainValues(piece, from: source)
            source.discard(slice.name)
        }
        return try Vector(values)
    }

    package func makeMatrix(_ values: [Float], rows: Int, columns: Int) throws -> Matrix {
        precondition(rows >= 0 && values.count == rows * columns, "not [\(rows), \(columns)]")
        precondition((1...StoredSlice.maximumColumns).contains(columns), "\(columns) columns")
        let matrix = try Matrix([(.f32, rows)], columns: columns)
        values.withUnsafeBufferPointer { values in
            guard let base = values.baseAddress, let segment = matrix.segments.first else { return }
            pool.parallel(segment.panelCount) { index in
                let row = index * Matrix.panelRows
                kernels.table.pointee.pack_panel(
                    MARTLET_F32, base + row * columns, columns * MemoryLayout<Float>.stride,
                    min(Matrix.panelRows, rows - row), columns, matrix.panel(index, of: segment))
            }
        }
        return matrix
    }

    // MARK: Panels

    /// One panel to fill from rows of one slice.
    private struct PanelJob {
        let piece: StoredSlice
        let rows: Range<Int>
        let panel: UnsafeMutableRawPointer
    }

    /// Slices that follow one another in one segment: of one target type, each but the last ending at a whole panel.
    private func segments(of pieces: [StoredSlice]) -> [(dtype: DType, rows: Int, pieces: [StoredSlice])] {
        var parts: [(dtype: DType, rows: Int, pieces: [StoredSlice])] = []
        for piece in pieces {
            if let last = parts.last, last.dtype == piece.target, last.rows % Matrix.panelRows == 0 {
                parts[parts.count - 1].rows += piece.slice.rows.count
                parts[parts.count - 1].pieces.append(piece)
            } else {
                parts.append((piece.target, piece.slice.rows.count, [piece]))
            }
        }
        return parts
    }

    private func pack(_ job: PanelJob, from source: any WeightSource) throws {
        let (piece, count, columns) = (job.piece, job.rows.count, job.piece.slice.columns.count)
        let table = kernels.table.pointee
        try piece.withRows(job.rows, from: source) { rows in
            guard piece.target != piece.info.dtype else {
                table.pack_panel(
                    piece.target.kernelType, rows, piece.info.rowBytes, count, columns, job.panel)
                return
            }
            let row = UnsafeMutablePointer<Float>.allocate(capacity: columns)
            let rowBytes = columns / piece.target.blockElements * piece.target.blockBytes
            let narrow = UnsafeMutableRawPointer.allocate(byteCount: count * rowBytes, alignment: 64)
            defer {
                row.deallocate()
                narrow.deallocate()
            }
            for index in 0..<count {
                let stored = rows + index * piece.info.rowBytes
                table.widen(piece.info.dtype.kernelType, stored, row, columns)
                let convert = piece.target.isQuantized ? table.quantize_blocks : table.narrow
                guard convert(piece.target.kernelType, row, narrow + index * rowBytes, columns) else {
                    let what = piece.target.isQuantized ? "that is not finite or too large" : "too large"
                    throw piece.error(
                        "row \(job.rows.lowerBound + index) has a value \(what) for \(piece.target.rawValue)")
                }
            }
            table.pack_panel(piece.target.kernelType, narrow, rowBytes, count, columns, job.panel)
        }
    }

    /// Runs `body` on the pool and throws the error of the lowest index that failed.
    private func parallelThrowing(_ count: Int, _ body: (Int) throws -> Void) throws {
        let failure = Mutex<(index: Int, error: any Error)?>(nil)
        pool.parallel(count) { index in
            if failure.withLock({ $0.map { $0.index < index } ?? false }) { return }
            do {
                try body(index)
            } catch {
                failure.withLock { held in
                    if held.map({ index < $0.index }) ?? true { held = (index, error) }
                }
            }
        }
        if let (_, error) = failure.withLock({ $0 }) { throw error }
    }

    // MARK: Vectors

    private func plainValues(_ piece: StoredSlice, from source: any WeightSource) throws -> [Float] {
        let columns = piece.slice.columns.count
        return try piece.withRows(piece.slice.rows, from: source) { rows in
            [Float](unsafeUninitializedCapacity: piece.slice.rows.count * columns) { values, count in
                count = piece.slice.rows.count * columns
                guard let base = values.baseAddress else { return }
                // A vector's "rows" are single values: one call for all where they lie together.
                if columns == piece.info.columns {
                    kernels.table.pointee.widen(piece.info.dtype.kernelType, rows, base, count)
                    return
                }
                for row in 0..<piece.slice.rows.count {
                    kernels.table.pointee.widen(
                        piece.info.dtype.kernelType, rows + row * piece.info.rowBytes, base + row * columns, columns)
                }
            }
        }
    }

    private func quantizedValues(_ piece: StoredSlice, from source: any WeightSource) throws -> [Float] {
        let matrix = try loadMatrix([piece.slice], from: source, dtype: nil)
        return [Float](unsafeUninitializedCapacity: matrix.rows * matrix.columns) { values, count in
            count = matrix.rows * matrix.columns
            guard let base = values.baseAddress else { return }
            for row in 0..<matrix.rows { unpackRow(row, of: matrix, into: base + row * matrix.columns) }
        }
    }
}

/// A slice found in its checkpoint and checked: it lies inside the tensor, is cut at whole blocks (D9), and can be
/// stored as `target`.
struct StoredSlice {
    let slice: MatrixSlice
    let info: TensorInfo
    /// The type it is packed as.
    let target: DType

    /// What plain types can become in blocks.
    private static let quantizable: Set<DType> = [.q8_0, .q4_0]

    /// More columns than any model has, and few enough for the backend's workspace.
    static let maximumColumns = 1 << 19

    init(_ slice: MatrixSlice, in source: any WeightSource, dtype: DType?) throws(WeightError) {
        guard let info = source.info(slice.name) else {
            throw WeightError(file: "checkpoint", tensor: slice.name, reason: "missing")
        }
        self.slice = slice
        self.info = info
        target = info.dtype.isQuantized ? info.dtype : dtype ?? info.dtype
        if target.isQuantized, !info.dtype.isQuantized, !Self.quantizable.contains(target) {
            throw error("cannot be stored as \(target.rawValue)")
        }
        let shape = info.shape
        let isInside = slice.rows.lowerBound >= 0 && slice.rows.upperBound <= info.rows
            && slice.columns.lowerBound >= 0 && slice.columns.upperBound <= info.columns
        guard isInside else { throw error("rows \(slice.rows), columns \(slice.columns) lie outside \(shape)") }
        let block = target.blockElements
        let cuts = [info.columns, slice.columns.lowerBound, slice.columns.upperBound]
        guard cuts.allSatisfy({ $0 % block == 0 }) else {
            throw error("columns \(slice.columns) of \(info.columns) cut a block of \(block) \(target.rawValue)")
        }
        guard (1...Self.maximumColumns).contains(slice.columns.count) else {
            throw error("\(slice.columns.count) columns; 1 through \(Self.maximumColumns) are possible")
        }
    }

    /// Lends the first byte of the slice's columns in the first of `rows`; rows are `info.rowBytes` apart.
    func withRows<Result>(
        _ rows: Range<Int>, from source: any WeightSource, _ body: (UnsafeRawPointer) throws -> Result
    ) throws -> Result {
        try source.withRows(slice.name, rows) { bytes in
            guard let base = bytes.baseAddress, bytes.count >= rows.count * info.rowBytes else {
                throw error("rows \(rows) have \(bytes.count) bytes instead of \(rows.count * info.rowBytes)")
            }
            return try body(base + slice.columns.lowerBound / info.dtype.blockElements * info.dtype.blockBytes)
        }
    }

    func error(_ reason: String) -> WeightError {
        WeightError(file: "checkpoint", tensor: slice.name, reason: reason)
    }
}
