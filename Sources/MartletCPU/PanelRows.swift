import CMartletKernels
import MartletTensor

/// Rows out of panels, for slices that cut them. `pack_panel` moves bytes and nothing else (D8), so one panel of marked
/// bytes shows where each byte of its rows goes, whatever the layout.
struct PanelRows {
    private let info: TensorInfo
    private let rowBytes: Int
    /// Where byte b of row r of a panel lies in it, at r * rowBytes + b.
    private let places: [UInt32]

    init(_ info: TensorInfo, _ kernels: CPUKernels) {
        self.info = info
        rowBytes = info.rowBytes
        let count = CPUBackend.Matrix.panelRows * rowBytes
        var places = [UInt32](repeating: 0, count: count)
        var panel = [UInt8](repeating: 0, count: count)
        // A byte's number is read off a byte of it at a time.
        for shift in stride(from: UInt32(0), to: 32, by: 8) where shift == 0 || count > 1 << Int(shift) {
            let marked = (0..<count).map { UInt8(truncatingIfNeeded: UInt32(truncatingIfNeeded: $0) >> shift) }
            kernels.table.pointee.pack_panel(
                info.dtype.kernelType, marked, rowBytes, CPUBackend.Matrix.panelRows, info.columns, &panel)
            for (place, mark) in panel.enumerated() { places[place] |= UInt32(mark) << shift }
        }
        var inverse = places
        for (place, source) in places.enumerated() { inverse[Int(source)] = UInt32(place) }
        self.places = inverse
    }

    /// Lends `rows` as they would be stored, [rows.count, rowBytes].
    func withRows<Result>(
        _ rows: Range<Int>, of panels: PackedPanels, _ body: (UnsafeRawPointer) throws -> Result
    ) rethrows -> Result {
        let scratch = UnsafeMutableRawPointer.allocate(byteCount: max(1, rows.count * rowBytes), alignment: 64)
        defer { scratch.deallocate() }
        let panelBytes = CPUBackend.Matrix.panelRows * rowBytes
        for (index, row) in rows.enumerated() {
            let start = row / CPUBackend.Matrix.panelRows * panelBytes
            let inPanel = row % CPUBackend.Matrix.panelRows * rowBytes
            for byte in 0..<rowBytes {
                let value = panels.bytes[start + Int(places[inPanel + byte])]
                scratch.storeBytes(of: value, toByteOffset: index * rowBytes + byte, as: UInt8.self)
            }
        }
        return try body(UnsafeRawPointer(scratch))
    }
}
