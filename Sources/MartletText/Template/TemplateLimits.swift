/// What one rendering may cost. A template comes from a file or, if the operator allows it, from a request; either
/// may be hostile, so every loop, string and recursion is charged here.
package struct TemplateLimits: Sendable {
    /// Nodes evaluated, elements copied, and bytes of text: 64 moved, 16 searched or 4 looked at one by one are a step.
    /// It bounds time and memory: all of them take less than 250 ms.
    package var steps = 1_000_000
    /// Bytes of the rendering, and of any one string on the way.
    package var outputBytes = 4 << 20
    /// Nesting of statements, expressions and macro calls while rendering, and of lists and mappings as values.
    package var depth = 128
    /// Elements of one `range()`; Jinja's sandbox has the same bound.
    package var rangeLength = 100_000

    package init() {}

    /// Nesting of the source itself.
    static let parserDepth = 128
    /// Bytes of the source itself; the largest known templates have 20 KiB.
    static let sourceBytes = 1 << 20
}
