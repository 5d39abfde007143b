import MartletTensor

/// A model that cannot be served: which file, which field or tensor of it, and why. The reason says what to do
/// where there is something to do.
package struct ModelError: Error, Equatable, CustomStringConvertible {
    package let file: String
    /// A key as written in the file ("text_config.hidden_size"), or "tensor NAME".
    package let field: String?
    package let reason: String

    package init(file: String, field: String? = nil, reason: String) {
        self.file = file
        self.field = field
        self.reason = reason
    }

    package init(_ error: WeightError) {
        self.init(file: error.file, field: error.tensor.map { "tensor \($0)" }, reason: error.reason)
    }

    package var description: String { field.map { "\(file): \($0): \(reason)" } ?? "\(file): \(reason)" }
}
