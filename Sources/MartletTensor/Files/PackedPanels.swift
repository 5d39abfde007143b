/// A tensor that a checkpoint holds ready-packed: panels of 16 rows one after the other, as a backend multiplies with
/// them (MODEL.md 8.5). What the bytes of a panel mean is the backend's knowledge, under the name of the layout.
package struct PackedPanels {
    /// Rows of a panel; the last panel of a tensor is filled up with zeros.
    package static let panelRows = 16
    /// Panels of a tensor begin at a multiple of this in their file, and so in memory.
    package static let alignment = 64

    /// Whose file it is, for errors.
    package let file: String
    /// Name and version of the order of bytes in a panel.
    package let layout: String
    /// Read-only; valid as long as `owner` lives and its file is not cut short.
    package let bytes: UnsafeRawBufferPointer
    package let owner: AnyObject

    package init(file: String, layout: String, bytes: UnsafeRawBufferPointer, owner: AnyObject) {
        self.file = file
        self.layout = layout
        self.bytes = bytes
        self.owner = owner
    }

    /// Bytes of the panels of a tensor, padded to the alignment; nil where that overflows or rows are no whole blocks.
    package static func byteCount(dtype: DType, shape: [Int]) -> Int? {
        guard let rows = shape.first, rows > 0, rows <= Int.max - alignment else { return nil }
        var columns = 1
        for size in shape.dropFirst() {
            let (product, overflow) = columns.multipliedReportingOverflow(by: size)
            guard size > 0, !overflow else { return nil }
            columns = product
        }
        guard columns % dtype.blockElements == 0 else { return nil }
        let (rowBytes, first) = (columns / dtype.blockElements).multipliedReportingOverflow(by: dtype.blockBytes)
        let (bytes, second) = rowBytes.multipliedReportingOverflow(by: (rows + panelRows - 1) / panelRows * panelRows)
        guard !first, !second, bytes <= Int.max - alignment else { return nil }
        return (bytes + alignment - 1) / alignment * alignment
    }
}
