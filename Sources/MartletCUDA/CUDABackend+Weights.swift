import CCUDA
import MartletCPU
import MartletTensor

// MARK: - Weights

extension CUDABackend {
    /// Strip by strip from the source. Plain types become the operands' where these have 16 bits. Throws `WeightError`
    /// when a tensor is missing, a slice does not fit it, or a value does not fit its type; `CUDAError`.
    package func loadMatrix(
        _ slices: [MatrixSlice], from source: any WeightSource, dtype: DType?
    ) throws -> Matrix {
        let pieces = try slices.map { slice in
            var slice = slice
            let asked = slice.dtype ?? dtype
            if operandType != .f32, asked?.isQuantized != true { slice.dtype = operandType }
            return try StoredSlice(slice, in: source, dtype: dtype, kernels: host)
        }
        guard let first = pieces.first else { throw WeightError(file: "checkpoint", reason: "a matrix of no slices") }
        for piece in pieces where piece.slice.columns.count != first.slice.columns.count {
            throw piece.error(
                "\(piece.slice.columns.count) columns, while \(first.slice.name) has \(first.slice.columns.count)")
        }
        return try performThrowing {
            let runs = runs(of: pieces)
            let matrix = try Matrix(
                runs.map { ($0.dtype, $0.rows) }, columns: first.slice.columns.count, on: stream)
            for (segment, run) in zip(matrix.segments, runs) {
                try strips.copy(segment.planes, to: matrix.address(segment)) { rows, strip, start in
                    try fill(rows, of: run.pieces, from: source, into: strip, at: start)
                }
            }
            for name in Set(pieces.map(\.slice.name)) { source.discard(name) }
            return matrix
        }
    }

    package func loadVector(_ slices: [MatrixSlice], from source: any WeightSource) throws -> Vector {
        var values: [Float] = []
        for slice in slices {
            values += try StoredSlice(slice, in: source, dtype: nil, kernels: host).values(from: source)
            source.discard(slice.name)
        }
        return try makeVector(values)
    }

    package func makeMatrix(_ values: [Float], rows: Int, columns: Int) throws -> Matrix {
        precondition(rows >= 0 && values.count == rows * columns, "not [\(rows), \(columns)]")
        let stored = host.narrowed(values, to: operandType)
        return try performThrowing {
            let matrix = try Matrix([(operandType, rows)], columns: columns, on: stream)
            let rowBytes = columns * operandType.blockBytes
            for segment in matrix.segments {
                try strips.copy(segment.planes, to: matrix.address(segment)) { rows, strip, start in
                    stored.withUnsafeBytes { stored in
                        guard let base = stored.baseAddress else { return }
                        for (index, row) in rows.enumerated() {
                            strip.scatter(base + row * rowBytes, row: index, into: start)
                        }
                    }
                }
            }
            return matrix
        }
    }

    func makeVector(_ values: [Float]) throws -> Vector {
        try performThrowing {
            let vector = try Vector(count: values.count, on: stream)
            try staging.copy(values, to: vector.address)
            return vector
        }
    }

    /// Slices that follow one another and are of one type.
    private func runs(of pieces: [StoredSlice]) -> [(dtype: DType, rows: Int, pieces: [StoredSlice])] {
        var runs: [(dtype: DType, rows: Int, pieces: [StoredSlice])] = []
        for piece in pieces {
            if runs.last?.dtype == piece.target {
                runs[runs.count - 1].rows += piece.slice.rows.count
                runs[runs.count - 1].pieces.append(piece)
            } else {
                runs.append((piece.target, piece.slice.rows.count, [piece]))
            }
        }
        return runs
    }

    /// Rows `rows` of `pieces`, stacked, as the planes of `strip`; on all threads.
    private func fill(
        _ rows: Range<Int>, of pieces: [StoredSlice], from source: any WeightSource, into strip: BlockPlanes,
        at start: UnsafeMutableRawPointer
    ) throws {
        let grain = PackedPanels.panelRows
        var jobs: [(piece: StoredSlice, rows: Range<Int>, place: Int)] = [], first = 0
        for piece in pieces {
            let count = piece.slice.rows.count
            let wanted = rows.clamped(to: first..<first + count)
            for row in stride(from: wanted.lowerBound, to: wanted.upperBound, by: grain) {
                let lower = piece.slice.rows.lowerBound + row - first
                let some = lower..<lower + min(grain, wanted.upperBound - row)
                jobs.append((piece, some, row - rows.lowerBound))
            }
            first += count
        }
        try pool.parallelThrowing(jobs.count) { index in
            let job = jobs[index]
            try job.piece.withTargetRows(job.rows, from: source) { stored, stride in
                for row in 0..<job.rows.count {
                    strip.scatter(stored + row * stride, row: job.place + row, into: start)
                }
            }
        }
    }
}
