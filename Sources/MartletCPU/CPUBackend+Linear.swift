import CMartletKernels
import MartletCore
import MartletTensor

// MARK: - Rows

extension CPUBackend {
    package func embed(_ tokens: [TokenID], table: Matrix, firstRow: Int, into y: Activation<Storage>) {
        precondition(tokens.count == y.rows && table.columns == y.width, "[\(tokens.count), \(table.columns)]")
        // Of no row, where nothing could be chosen.
        let hasKept = tokens.contains { $0 < 0 }
        let tokens = hasKept ? tokens.map { KeptToken.place(of: $0).map { keptTokens[$0] ?? -1 } ?? $0 } : tokens
        pool.parallel(tokens.count, grain: 4) { range in
            for row in range {
                let place = Int(tokens[row]) - firstRow
                if place >= 0, place < table.rows {
                    unpackRow(place, of: table, into: y.row(row))
                } else {
                    y.row(row).update(repeating: 0, count: y.width)
                }
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
    package func linear(_ x: Activation<Storage>, _ weight: Matrix, bias: Vector?, into y: Activation<Storage>) {
        precondition(x.rows == y.rows && x.width == weight.columns && y.width == weight.rows, """
            [\(x.rows), \(x.width)] times [\(weight.rows), \(weight.columns)] into [\(y.rows), \(y.width)]
            """)
        precondition(bias.map { $0.count == weight.rows } ?? true, "bias of another size")
        for precision in ActivationPrecision.allCases
        where weight.segments.contains(where: { self.precision(for: $0, of: weight) == precision }) {
            // The workspace bounds the rows of one pass; the cut changes no bit (D5).
            let limit = rowLimit(precision, width: x.width)
            for start in stride(from: 0, to: x.rows, by: limit) {
                let rows = start..<min(x.rows, start + limit)
                multiply(x.rows(rows), in: precision, weight, bias: bias, into: y.rows(rows))
            }
        }
        withExtendedLifetime((x, y, weight, bias)) {}
    }

    /// In what precision activations meet a segment.
    private func precision(for segment: Matrix.Segment, of matrix: Matrix) -> ActivationPrecision {
        precision(for: segment.dtype, columns: matrix.columns)
    }

    /// In what precision activations meet rows of this type.
    package func precision(for dtype: DType, columns: Int) -> ActivationPrecision {
        switch dtype {
        case .f32, .f16: .f32
        case .bf16: activations == .bf16 && columns % 2 == 0 ? .bf16 : .f32
        default: activations == .f32 ? .f32 : .int8
        }
    }

    /// Elements of the workspace that a row takes, rounded up.
    private func rowLimit(_ precision: ActivationPrecision, width: Int) -> Int {
        let elements =
            switch precision {
            case .f32: Self.apart(width)
            case .int8: (martlet_int8_row_bytes(width) + 3) / 4
            case .bf16: (martlet_bf16_row_stride(width) + 1) / 2
            }
        precondition(elements <= workspace.count, "a row of \(width) in a workspace of \(workspace.count)")
        return workspace.count / elements
    }

    /// One pass: rows that the workspace holds, with the segments that they meet in one precision.
    private func multiply(
        _ x: Activation<Storage>, in precision: ActivationPrecision, _ weight: Matrix, bias: Vector?,
        into y: Activation<Storage>
    ) {
        let table = kernels.table
        let (rows, stride) = (x.rows, y.stride)
        // The bodies capture numbers and pointers only: threads would quarrel over a reference count.
        switch precision {
        case .f32:
            let x = spread(x)
            let (start, apart) = (x.start, x.stride)
            multiply(weight, meeting: precision, bias: bias, into: y) {
                table.pointee.multiply($0, $1.lowerBound, $1.upperBound, start, apart, rows, $2, $3, stride)
            }
        case .int8:
            let packed = quantize(x)
            multiply(weight, meeting: precision, bias: bias, into: y) {
                table.pointee.multiply_int8($0, $1.lowerBound, $1.upperBound, packed, rows, $2, $3, stride)
            }
        case .bf16:
            let packed = round(x)
            multiply(weight, meeting: precision, bias: bias, into: y) {
                table.pointee.multiply_bf16($0, $1.lowerBound, $1.upperBound, packed, rows, $2, $3, stride)
            }
        }
    }

    /// A distance between rows of `width` at which neighbours do not meet in the same sets of a cache.
    private static func apart(_ width: Int) -> Int { width % 512 == 0 ? width + 16 : width }

    /// The rows where they lie, or copied to the workspace if so many of them would meet in a cache.
    private func spread(_ x: Activation<Storage>) -> Activation<Storage> {
        guard x.rows > 2 && x.stride % 512 == 0 else { return x }
        let copy = Activation(storage: workspace, rows: x.rows, width: x.width, stride: Self.apart(x.width))
        pool.parallel(x.rows, grain: Self.rowGrain(width: x.width)) { rows in
            for row in rows { copy.row(row).update(from: x.row(row), count: x.width) }
        }
        return copy
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

    /// The rows as `multiply_bf16` reads them, in the workspace.
    private func round(_ x: Activation<Storage>) -> UnsafePointer<UInt16> {
        let stride = martlet_bf16_row_stride(x.width)
        let target = UnsafeMutableRawPointer(workspace.start).bindMemory(to: UInt16.self, capacity: x.rows * stride)
        pool.parallel(x.rows, grain: Self.rowGrain(width: x.width)) { rows in
            // What is too large becomes infinite, as in arithmetic.
            for row in rows {
                _ = kernels.table.pointee.narrow(MARTLET_BF16, x.row(row), target + row * stride, x.width)
            }
        }
        return UnsafePointer(target)
    }

    /// Runs `body` on all panels of so many bytes. Few rows make little work of a panel, beside which starting to read
    /// it shows: every thread reads on.
    private func overPanels(_ count: Int, bytes: Int, rows: Int, _ body: (Range<Int>) -> Void) {
        let grain = Self.panelGrain(panels: count, bytes: bytes, rows: rows, threads: pool.threadCount)
        rows > 128 ? pool.parallel(count, grain: grain, body) : pool.parallel(sharing: count, grain: grain, body)
    }

    /// Panels that a thread takes at a time, in pairs, as kernels do: of few rows a microsecond's work, or an eighth of
    /// the thread's share.
    static func panelGrain(panels: Int, bytes: Int, rows: Int, threads: Int) -> Int {
        guard rows <= 128 else { return panels < 64 * threads ? 2 : 4 }
        return max(2, min((64 << 10) / max(bytes, 1), panels / (8 * threads)) / 2 * 2)
    }

    /// Products of the segments that meet one precision; `kernel` takes a matrix, its panels, bias and row 0 of its
    /// output.
    private func multiply(
        _ weight: Matrix, meeting precision: ActivationPrecision, bias: Vector?, into y: Activation<Storage>,
        by kernel: (
            UnsafePointer<martlet_matrix>, Range<Int>, UnsafePointer<Float>?, UnsafeMutablePointer<Float>
        ) -> Void
    ) {
        for segment in weight.segments where self.precision(for: segment, of: weight) == precision {
            var matrix = weight.kernelMatrix(segment)
            let first = segment.rows.lowerBound
            let (start, biases) = (y.start + first, bias.map { $0.start + first })
            let bytes = Matrix.panelBytes(segment.dtype, columns: weight.columns)
            withUnsafePointer(to: &matrix) { matrix in
                overPanels(segment.panelCount, bytes: bytes, rows: y.rows) { kernel(matrix, $0, biases, start) }
            }
        }
    }
}
