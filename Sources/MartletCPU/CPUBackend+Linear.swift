import CMartletKernels
import MartletCore
import MartletTensor

// MARK: - Rows

extension CPUBackend {
    package func embed(_ tokens: [TokenID], table: Matrix, into y: Activation<Storage>) {
        precondition(tokens.count == y.rows && table.columns == y.width, "[\(tokens.count), \(table.columns)]")
        pool.parallel(tokens.count, grain: 4) { range in
            for row in range {
                precondition(tokens[row] >= 0 && tokens[row] < table.rows, "token \(tokens[row]) of \(table.rows)")
                unpackRow(Int(tokens[row]), of: table, into: y.row(row))
            }
        }
    }

    package func copyRows(
        _ sources: [Int], of x: Activation<Storage>, to targets: [Int], of y: Activation<Storage>
    ) {
        precondition(sources.count == targets.count && x.width == y.width, "rows or widths differ")
        for (source, target) in zip(sources, targets) {
            precondition(source >= 0 && source < x.rows && target >= 0 && target < y.rows, "row \(source) to \(target)")
            y.row(target).update(from: x.row(source), count: x.width)
        }
    }

    package func add(_ y: Activation<Storage>, to x: Activation<Storage>) {
        precondition(x.rows == y.rows && x.width == y.width, "[\(x.rows), \(x.width)] + [\(y.rows), \(y.width)]")
        pool.parallel(x.rows, grain: Self.rowGrain(width: x.width)) { rows in
            for row in rows { kernels.table.pointee.add(y.row(row), x.row(row), x.width) }
        }
    }

    /// Rows of elementwise work that are worth a thread's while: some 16 Ki elements.
    static func rowGrain(width: Int) -> Int { max(1, (16 << 10) / max(width, 1)) }

    /// Row `row` of a matrix as f32, [columns].
    func unpackRow(_ row: Int, of matrix: Matrix, into y: UnsafeMutablePointer<Float>) {
        guard let segment = matrix.segments.first(where: { $0.rows.contains(row) }) else {
            preconditionFailure("row \(row) of \(matrix.rows)")
        }
        var packed = matrix.kernelMatrix(segment)
        kernels.table.pointee.unpack_row(&packed, row - segment.rows.lowerBound, y)
    }
}

// MARK: - Products

extension CPUBackend {
    /// Panels of a matrix that a thread takes at a time.
    private static var panelGrain: Int { 4 }

    package func linear(_ x: Activation<Storage>, _ weight: Matrix, bias: Vector?, into y: Activation<Storage>) {
        precondition(x.rows == y.rows && x.width == weight.columns && y.width == weight.rows, """
            [\(x.rows), \(x.width)] times [\(weight.rows), \(weight.columns)] into [\(y.rows), \(y.width)]
            """)
        precondition(bias.map { $0.count == weight.rows } ?? true, "bias of another size")
        // The workspace bounds the rows of one pass; the cut changes no bit (D5). Either form of a row fits.
        let limit = workspace.count / x.width
        let table = kernels.table.pointee
        for start in stride(from: 0, to: x.rows, by: limit) {
            let rows = start..<min(x.rows, start + limit)
            if !weight.segments.allSatisfy(meetsInt8) {
                let packed = pack(x.rows(rows))
                for segment in weight.segments where !meetsInt8(segment) {
                    multiply(weight, segment, bias: bias, into: y.rows(rows)) {
                        table.multiply($0, $1.lowerBound, $1.upperBound, packed, rows.count, $2, $3, y.stride)
                    }
                }
            }
            if weight.segments.contains(where: meetsInt8) {
                let packed = quantize(x.rows(rows))
                for segment in weight.segments where meetsInt8(segment) {
                    multiply(weight, segment, bias: bias, into: y.rows(rows)) {
                        table.multiply_int8($0, $1.lowerBound, $1.upperBound, packed, rows.count, $2, $3, y.stride)
                    }
                }
            }
        }
        withExtendedLifetime((x, y, weight, bias)) {}
    }

    /// Whether a segment is multiplied with activations of eight bits.
    private func meetsInt8(_ segment: Matrix.Segment) -> Bool { activations == .int8 && segment.dtype.isQuantized }

    /// The rows as `multiply` reads them; in the workspace unless one row lies as it should.
    private func pack(_ x: Activation<Storage>) -> UnsafePointer<Float> {
        guard x.rows > 1 else { return UnsafePointer(x.start) }
        let table = kernels.table.pointee
        let blocks = (x.rows + table.row_block - 1) / table.row_block
        pool.parallel(blocks) { block in
            table.pack_rows(x.start, x.stride, x.rows, x.width, block, block + 1, workspace.start)
        }
        return UnsafePointer(workspace.start)
    }

    /// The rows as `multiply_int8` reads them, in the workspace.
    private func quantize(_ x: Activation<Storage>) -> UnsafeRawPointer {
        let target = UnsafeMutableRawPointer(workspace.start)
        let bytes = martlet_int8_row_bytes(x.width)
        pool.parallel(x.rows, grain: Self.rowGrain(width: x.width)) { rows in
            kernels.table.pointee.quantize_rows(
                x.row(rows.lowerBound), x.stride, rows.count, x.width, target + rows.lowerBound * bytes)
        }
        return UnsafeRawPointer(target)
    }

    /// One segment's product; `kernel` takes its matrix, panels, bias and row 0 of its output.
    private func multiply(
        _ weight: Matrix, _ segment: Matrix.Segment, bias: Vector?, into y: Activation<Storage>,
        by kernel: (
            UnsafePointer<martlet_matrix>, Range<Int>, UnsafePointer<Float>?, UnsafeMutablePointer<Float>
        ) -> Void
    ) {
        let matrix = weight.kernelMatrix(segment)
        let first = segment.rows.lowerBound
        pool.parallel(segment.panelCount, grain: Self.panelGrain) { panels in
            withUnsafePointer(to: matrix) { kernel($0, panels, bias.map { $0.start + first }, y.start + first) }
        }
    }
}
