/// Python's view of text: a sequence of scalars, where Swift's is one of characters. Templates are written for Python.
enum PythonText {
    /// `str.isspace` of one scalar.
    static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20, 0x09...0x0D, 0x1C...0x1F: true
        case 0..<0x80: false
        default: scalar.properties.isWhitespace
        }
    }
}
