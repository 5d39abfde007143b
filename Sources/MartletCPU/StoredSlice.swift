import CMartletKernels
import MartletTensor

/// A slice found in its checkpoint and checked: it lies inside the tensor, is cut at whole blocks (D9), and can be
/// stored as `target`. Whatever its file, its rows come out as a device wants them.
package struct StoredSlice {
    package let slice: MatrixSlice
    let info: TensorInfo
    /// The type it is kept as.
    package let target: DType
    private let kernels: CPUKernels
    /// The tensor's panels, where the source holds it so.
    private let panels: PackedPanels?
    private let copiesPanels: Bool
    /// How rows come out of panels that the slice cuts.
    private var panelRows: PanelRows?

    /// What plain types can become in blocks.
    private static let quantizable: Set<DType> = [.q8_0, .q4_0]

    /// More columns than any model has, and few enough for the backend's workspace.
    package static let maximumColumns = 1 << 19

    /// `dtype`: what plain types become unless the slice says so itself; nil = as stored. `unpacks`: rows are wanted of
    /// panels, too, that are whole. Throws `WeightError` unless the slice can be kept so, and where panels are of
    /// another layout.
    package init(
        _ slice: MatrixSlice, in source: any WeightSource, dtype: DType?, copiesPanels: Bool = true,
        unpacks: Bool = true, kernels: CPUKernels
    ) throws {
        guard let info = source.info(slice.name) else {
            throw WeightError(file: "checkpoint", tensor: slice.name, reason: "missing")
        }
        let panels = try source.panels(slice.name)
        self.slice = slice
        self.info = info
        self.panels = panels
        self.copiesPanels = copiesPanels
        self.kernels = kernels
        target = info.dtype.isQuantized ? info.dtype : slice.dtype ?? dtype ?? info.dtype
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
        if let panels {
            try check(panels)
            if unpacks || wholePanel(of: slice.rows) == nil { panelRows = PanelRows(info, kernels) }
        }
    }

    private func check(_ panels: PackedPanels) throws(WeightError) {
        guard panels.layout == CPUBackend.panelLayout else {
            throw WeightError(
                file: panels.file, tensor: slice.name,
                reason: "is packed as \"\(panels.layout)\"; this program computes with \"\(CPUBackend.panelLayout)\"."
                    + " Make the file anew with `martlet quantize`")
        }
        guard panels.bytes.count == PackedPanels.byteCount(dtype: info.dtype, shape: [info.rows, info.columns]) else {
            throw error("has \(panels.bytes.count) bytes of panels, which are not those of \(info.shape)")
        }
    }

    // MARK: Panels

    /// The slice's first panel and who holds it, where the matrix can do with the panels as they lie.
    var lent: (start: UnsafeRawPointer, lender: AnyObject)? {
        guard !copiesPanels, let panels, let start = wholePanel(of: slice.rows) else { return nil }
        return (start, panels.owner)
    }

    /// Where `rows` begin in the tensor's panels, if these are what the slice wants: all columns, as stored, from a
    /// panel's first row to a panel's last or the tensor's.
    func wholePanel(of rows: Range<Int>) -> UnsafeRawPointer? {
        guard let base = panels?.bytes.baseAddress, target == info.dtype, slice.columns == 0..<info.columns,
            rows.lowerBound % CPUBackend.Matrix.panelRows == 0,
            rows.upperBound % CPUBackend.Matrix.panelRows == 0 || rows.upperBound == info.rows
        else { return nil }
        return base + rows.lowerBound / CPUBackend.Matrix.panelRows
            * CPUBackend.Matrix.panelBytes(info.dtype, columns: info.columns)
    }

    // MARK: Rows

    /// Bytes of a row of the slice as it is kept.
    package var targetRowBytes: Int { slice.columns.count / target.blockElements * target.blockBytes }

    /// Lends `rows` (of the tensor) as they are kept, as stored or converted, and how many bytes they are apart. Throws
    /// `WeightError` where a value does not fit.
    package func withTargetRows<Result>(
        _ rows: Range<Int>, from source: any WeightSource, _ body: (UnsafeRawPointer, _ stride: Int) throws -> Result
    ) throws -> Result {
        try withRows(rows, from: source) { stored in
            guard target != info.dtype else { return try body(stored, info.rowBytes) }
            let columns = slice.columns.count, table = kernels.table.pointee
            let row = UnsafeMutablePointer<Float>.allocate(capacity: columns)
            let narrow = UnsafeMutableRawPointer.allocate(byteCount: rows.count * targetRowBytes, alignment: 64)
            defer {
                row.deallocate()
                narrow.deallocate()
            }
            let convert = target.isQuantized ? table.quantize_blocks : table.narrow
            for index in 0..<rows.count {
                table.widen(info.dtype.kernelType, stored + index * info.rowBytes, row, columns)
                guard convert(target.kernelType, row, narrow + index * targetRowBytes, columns) else {
                    let what = target.isQuantized ? "that is not finite or too large" : "too large"
                    throw error("row \(rows.lowerBound + index) has a value \(what) for \(target.rawValue)")
                }
            }
            return try body(narrow, targetRowBytes)
        }
    }

    /// The slice as f32, [rows, columns].
    package func values(from source: any WeightSource) throws -> [Float] {
        let (count, columns) = (slice.rows.count, slice.columns.count)
        return try withRows(slice.rows, from: source) { stored in
            if info.dtype.isQuantized {
                let bytes = columns / info.dtype.blockElements * info.dtype.blockBytes
                return (0..<count).flatMap { row in
                    let row = UnsafeRawBufferPointer(start: stored + row * info.rowBytes, count: bytes)
                    return QuantizedBlocks.dequantize(row, dtype: info.dtype)
                }
            }
            return [Float](unsafeUninitializedCapacity: count * columns) { values, filled in
                filled = count * columns
                guard let base = values.baseAddress else { return }
                // A vector's "rows" are single values: one call for all where they lie together.
                let lines = columns == info.columns ? (rows: 1, columns: filled) : (rows: count, columns: columns)
                for row in 0..<lines.rows {
                    kernels.table.pointee.widen(
                        info.dtype.kernelType, stored + row * info.rowBytes, base + row * columns, lines.columns)
                }
            }
        }
    }

    /// Lends the first byte of the slice's columns in the first of `rows`; rows are `info.rowBytes` apart.
    func withRows<Result>(
        _ rows: Range<Int>, from source: any WeightSource, _ body: (UnsafeRawPointer) throws -> Result
    ) throws -> Result {
        let firstColumn = slice.columns.lowerBound / info.dtype.blockElements * info.dtype.blockBytes
        if let panels, let panelRows {
            return try panelRows.withRows(rows, of: panels) { try body($0 + firstColumn) }
        }
        return try source.withRows(slice.name, rows) { bytes in
            guard let base = bytes.baseAddress, bytes.count >= rows.count * info.rowBytes else {
                throw error("rows \(rows) have \(bytes.count) bytes instead of \(rows.count * info.rowBytes)")
            }
            return try body(base + firstColumn)
        }
    }

    package func error(_ reason: String) -> WeightError {
        WeightError(file: "checkpoint", tensor: slice.name, reason: reason)
    }
}
