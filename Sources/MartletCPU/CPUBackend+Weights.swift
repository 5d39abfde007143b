import CMartletKernels
import MartletTensor

// MARK: - Weights

extension CPUBackend {
    /// Panel by panel from the source, in parallel: never more than the packed matrix and some rows a thread. Panels
    /// that the source has are used where they lie, unless `copiesPanels` or a slice cuts them.
    /// Throws `WeightError` when a tensor is missing, a slice does not fit it, or a value does not fit `dtype`;
    /// `MemoryError`.
    package func loadMatrix(
        _ slices: [MatrixSlice], from source: any WeightSource, dtype: DType?
    ) throws -> Matrix {
        let pieces = try slices.map {
            try StoredSlice(
                $0, in: source, dtype: dtype, copiesPanels: copiesPanels, unpacks: false, kernels: kernels)
        }
        guard let first = pieces.first else { throw WeightError(file: "checkpoint", reason: "a matrix of no slices") }
        for piece in pieces where piece.slice.columns.count != first.slice.columns.count {
            throw piece.error(
                "\(piece.slice.columns.count) columns, while \(first.slice.name) has \(first.slice.columns.count)")
        }
        let segments = segments(of: pieces)
        let matrix = try Matrix(segments.map(\.part), columns: first.slice.columns.count)
        var jobs: [PanelJob] = []
        for (segment, pieces) in zip(matrix.segments, segments.map(\.pieces)) {
            var row = 0
            for piece in pieces where piece.lent == nil {
                for start in stride(from: 0, to: piece.slice.rows.count, by: Matrix.panelRows) {
                    let count = min(Matrix.panelRows, piece.slice.rows.count - start)
                    let lower = piece.slice.rows.lowerBound + start
                    let panel = matrix.panel((row + start) / Matrix.panelRows, of: segment)
                    jobs.append(PanelJob(piece: piece, rows: lower..<lower + count, panel: panel))
                }
                row += piece.slice.rows.count
            }
        }
        try pool.parallelThrowing(jobs.count) { try pack(jobs[$0], from: source) }
        for name in Set(pieces.filter { $0.lent == nil }.map(\.slice.name)) { source.discard(name) }
        return matrix
    }

    package func loadVector(_ slices: [MatrixSlice], from source: any WeightSource) throws -> Vector {
        var values: [Float] = []
        for slice in slices {
            let piece = try StoredSlice(slice, in: source, dtype: nil, kernels: kernels)
            values += try piece.values(from: source)
            source.discard(slice.name)
        }
        return try Vector(values)
    }

    package func makeMatrix(_ values: [Float], rows: Int, columns: Int) throws -> Matrix {
        precondition(rows >= 0 && values.count == rows * columns, "not [\(rows), \(columns)]")
        precondition((1...StoredSlice.maximumColumns).contains(columns), "\(columns) columns")
        let matrix = try Matrix([Matrix.Part(dtype: .f32, rows: rows)], columns: columns)
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

    /// Slices that follow one another in one segment: of one target type, each but the last ending at a whole panel,
    /// and all or none of them lent, in memory that goes on.
    private func segments(of pieces: [StoredSlice]) -> [(part: Matrix.Part, pieces: [StoredSlice])] {
        var segments: [(part: Matrix.Part, pieces: [StoredSlice])] = []
        for piece in pieces {
            let rows = piece.slice.rows.count
            if let last = segments.last?.part, last.dtype == piece.target, last.rows % Matrix.panelRows == 0,
                end(of: last, columns: piece.slice.columns.count) == piece.lent?.start
            {
                segments[segments.count - 1].part.rows += rows
                segments[segments.count - 1].pieces.append(piece)
            } else {
                segments.append((Matrix.Part(dtype: piece.target, rows: rows, lent: piece.lent), [piece]))
            }
        }
        return segments
    }

    /// Where the next panel would lie in lent memory; nil in a matrix's own.
    private func end(of part: Matrix.Part, columns: Int) -> UnsafeRawPointer? {
        part.lent.map {
            $0.start + part.rows / Matrix.panelRows * Matrix.panelBytes(part.dtype, columns: columns)
        }
    }

    private func pack(_ job: PanelJob, from source: any WeightSource) throws {
        if let panel = job.piece.wholePanel(of: job.rows) {
            let bytes = Matrix.panelBytes(job.piece.target, columns: job.piece.info.columns)
            job.panel.copyMemory(from: panel, byteCount: bytes)
            return
        }
        try job.piece.withTargetRows(job.rows, from: source) { rows, stride in
            kernels.table.pointee.pack_panel(
                job.piece.target.kernelType, rows, stride, job.rows.count, job.piece.slice.columns.count, job.panel)
        }
    }
}
