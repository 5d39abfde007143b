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

    /// The tensor in panels, if the checkpoint holds it so: then it has no rows to lend. Throws if the file has shrunk.
    func panels(_ name: String) throws -> PackedPanels?

    /// The rows' pages will not be read again soon: a mapped file may drop them.
    func discard(_ name: String)
}

extension WeightSource {
    /// Most checkpoints have none.
    package func panels(_ name: String) throws -> PackedPanels? { nil }
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
    /// What a plain tensor becomes, before what the whole matrix does.
    package var dtype: DType?

    package init(name: String, rows: Range<Int>, columns: Range<Int>, dtype: DType? = nil) {
        self.name = name
        self.rows = rows
        self.columns = columns
        self.dtype = dtype
    }

    /// The whole tensor.
    package init(_ info: TensorInfo, dtype: DType? = nil) {
        self.init(name: info.name, rows: 0..<info.rows, columns: 0..<info.columns, dtype: dtype)
    }
}
