/// What a checkpoint says about one tensor. `shape` is outermost first, whatever the file's own order.
package struct TensorInfo: Sendable, Equatable {
    package let name: String
    package let dtype: DType
    package let shape: [Int]

    package init(name: String, dtype: DType, shape: [Int]) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
    }

    /// Seen as a matrix: the first dimension.
    package var rows: Int { shape.first ?? 1 }
    /// Seen as a matrix: the product of all other dimensions.
    package var columns: Int { shape.dropFirst().reduce(1, *) }
    package var elementCount: Int { shape.reduce(1, *) }
    /// Bytes of one row as stored. Rows are whole blocks: readers refuse files where they are not.
    package var rowBytes: Int { columns / dtype.blockElements * dtype.blockBytes }
}
