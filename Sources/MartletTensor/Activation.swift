/// What activations are for, which says how a device may keep them.
package enum ActivationRole: Sendable {
    /// Sums, and what is added to: f32 everywhere.
    case exact
    /// What products and attention read: f32 on the CPU, 16 bits on a device that multiplies these.
    case operand
}

/// A matrix of activations in a backend's memory, [rows, width] row-major with rows `stride` elements apart:
/// a view, cheap to copy, keeping its storage alive. Contents are mutable; who writes when is the caller's
/// order of operations.
package struct Activation<Storage: AnyObject> {
    package let storage: Storage
    /// In elements from the start of the storage.
    package let offset: Int
    package let rows: Int
    package let width: Int
    package let stride: Int

    package init(storage: Storage, offset: Int = 0, rows: Int, width: Int, stride: Int? = nil) {
        self.storage = storage
        self.offset = offset
        self.rows = rows
        self.width = width
        self.stride = stride ?? width
    }

    /// Some of the rows.
    package func rows(_ range: Range<Int>) -> Self {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
        return Self(
            storage: storage, offset: offset + range.lowerBound * stride, rows: range.count, width: width,
            stride: stride)
    }

    /// Some of the columns of every row.
    package func columns(_ range: Range<Int>) -> Self {
        precondition(range.lowerBound >= 0 && range.upperBound <= width, "columns \(range) of \(width)")
        return Self(storage: storage, offset: offset + range.lowerBound, rows: rows, width: range.count, stride: stride)
    }

    /// The same elements with another row length; needs dense rows.
    package func reshaped(width newWidth: Int) -> Self {
        precondition(stride == width && rows * width % newWidth == 0, "cannot reshape")
        return Self(storage: storage, offset: offset, rows: rows * width / newWidth, width: newWidth)
    }
}
