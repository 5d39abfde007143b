/// What the lexer makes of a template's source.
struct TemplateToken: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        /// Text outside of any tag, trimmed as the tags next to it ask.
        case data(String)
        /// `{{` and `}}`.
        case outputBegin, outputEnd
        /// `{%` and `%}`.
        case blockBegin, blockEnd
        case name(String)
        case string(String)
        case integer(Int)
        case float(Double)
        /// Any punctuation of expressions, spelled out.
        case symbol(String)
        case end
    }

    let kind: Kind
    /// Counted from 1.
    let line: Int
}
