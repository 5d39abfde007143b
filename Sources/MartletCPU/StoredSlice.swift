import CMartletKernels
import MartletTensor

/// A slice found in its checkpoint and checked: it lies inside the tensor, is cut at whole blocks (D9), and can be
/// stored as `target`.
struct StoredSlice {
    let slice: MatrixSlice
    let info: TensorInfo
    /// The type it is packed as.
    let target: DType
    /// The tensor's panels, where the source holds it so.
    private let panels: PackedPanels?
    private let copiesPanels: Bool
    /// How rows come out of panels that the slice cuts.
    private var panelRows: PanelRows?

    /// What plain types can become in blocks.
    private static let quantizable: Set<DType> = [.q8_0, .q4_0]

    /// More columns than any model has, and few enough for the backend's workspace.
    static let maximumColumns = 1 << 19

    /// Throws `WeightError` unless the slice can be packed as `dtype` says, and where panels are of another layout.
    init(
        _ slice: MatrixSlice, in source: any WeightSource, dtype: DType?, copiesPanels: Bool, kernels: CPUKernels
    ) throws {
        guard let info = source.info(slice.name) else {
            throw WeightError(file: "checkpoint", tensor: slice.name, reason: "missing")
        }
        let panels = try source.panels(slice.name)
        self.slice = slice
        self.info = info
        self.panels = panels
        self.copiesPanels = copiesPanels
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
            if wholePanel(of: slice.rows) == nil { panelRows = PanelRows(info, kernels) }
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

    func error(_ reason: String) -> WeightError {
        WeightError(file: "checkpoint", tensor: slice.name, reason: reason)
    }
}
