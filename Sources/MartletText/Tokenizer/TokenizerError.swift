/// Why a tokenizer could not be loaded: which file, which of its fields, and what is wrong with it.
package struct TokenizerError: Error, Equatable, CustomStringConvertible {
    /// As the caller named it, e.g. "tokenizer.json".
    package let file: String
    /// Path of keys, e.g. "model.vocab"; empty for the document itself.
    package let field: String
    package let reason: String

    package init(file: String, field: String, reason: String) {
        self.file = file
        self.field = field
        self.reason = reason
    }

    package var description: String { field.isEmpty ? "\(file): \(reason)" : "\(file): \(field): \(reason)" }
}
