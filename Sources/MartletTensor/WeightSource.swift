/// Where a model's tensors come from: safetensors, GGUF or the deterministic dummy. Names are the Hugging Face
/// names of MODEL.md, whatever the file calls them. Reading is thread-safe.
package protocol WeightSource: AnyObject, Sendable {
    /// nil if the checkpoint has no such tensor.
    func info(_ name: String) -> TensorInfo?

    /// Lends rows `range` of the tensor as they are stored ([range.count, rowBytes]); the pointer is valid inside
    /// `body` only. Throws `WeightError` naming file and tensor; `range` must lie inside the tensor.
    func withRows<Result>(
        _ name: String, _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result

    /// The rows' pages will not be read again soon: a mapped file may drop them.
    func discard(_ name: String)
}

/// A checkpoint that cannot be used: which file, which tensor, and why.
package struct WeightError: Error, Equatable, CustomStringConvertible {
    package let file: String
    package let tensor: String?
    package let reason: String

    package init(file: String, tensor: String? = nil, reason: String) {
        self.file = file
        self.tensor = tensor
        self.reason = reason
    }

    package var description: String {
        tensor.map { "\(file): tensor \($0): \(reason)" } ?? "\(file): \(reason)"
    }
}

/// A piece of a stored matrix that a backend packs: some rows, some columns (D9: cut at whole quant blocks).
package struct MatrixSlice: Sendable, Equatable {
    package var name: String
    package var rows: Range<Int>
    package var columns: Range<Int>

    package init(name: String, rows: Range<Int>, columns: Range<Int>) {
        self.name = name
        self.rows = rows
        self.columns = columns
    }

    /// The whole tensor.
    package init(_ info: TensorInfo) {
        self.init(name: info.name, rows: 0..<info.rows, columns: 0..<info.columns)
    }
}
