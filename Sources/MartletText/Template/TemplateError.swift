/// Why a chat template could not be read or rendered. Everything here is the fault of a file or of a request, so it
/// becomes a 400 or a refusal to start, never a trap.
package struct TemplateError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Kind: Equatable, Sendable {
        /// The source is not a template we read.
        case syntax
        /// The template called `raise_exception`: its message is meant for the user.
        case raised
        /// An attribute, item, call or sum of something that is not there.
        case undefined
        /// An operation on values it is not made for.
        case type
        /// Jinja knows it, this interpreter does not.
        case unsupported
        /// A bound of `TemplateLimits` was reached.
        case limit
    }

    package let kind: Kind
    package let message: String
    /// The file the template came from, as given by whoever loaded it.
    package let file: String
    /// Counted from 1.
    package let line: Int

    package init(_ kind: Kind, _ message: String, file: String = "", line: Int = 0) {
        self.kind = kind
        self.message = message
        self.file = file
        self.line = line
    }

    package var description: String { "chat template \(file), line \(line): \(message)" }

    /// The same fault with its place, unless it has one already.
    func at(file: String, line: Int) -> TemplateError {
        self.line > 0 ? self : TemplateError(kind, message, file: file, line: line)
    }
}
