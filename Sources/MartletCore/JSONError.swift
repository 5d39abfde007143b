/// Where and why a document is not the JSON we take.
package struct JSONError: Error, Equatable, CustomStringConvertible {
    /// Byte offset of the fault.
    package let offset: Int
    package let reason: String

    package var description: String { "not valid JSON at byte \(offset): \(reason)" }
}
