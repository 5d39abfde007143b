/// A parsed expression. Chains of operators are flat, so that a long sum is not a deep tree.
indirect enum TemplateExpression: Sendable {
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case string(String)
    case name(String)
    case list([TemplateExpression])
    case tuple([TemplateExpression])
    case dictionary([(key: TemplateExpression, value: TemplateExpression)])
    case attribute(TemplateExpression, String)
    case item(TemplateExpression, TemplateExpression)
    case slice(TemplateExpression, from: TemplateExpression?, to: TemplateExpression?, by: TemplateExpression?)
    case call(TemplateExpression, TemplateArguments)
    case filter(TemplateExpression, name: String, TemplateArguments)
    case test(TemplateExpression, name: String, TemplateArguments, isNegated: Bool)
    case not(TemplateExpression)
    case negative(TemplateExpression)
    case positive(TemplateExpression)
    /// Left to right; only operators of equal rank.
    case arithmetic(TemplateExpression, [(operation: TemplateOperator, operand: TemplateExpression)])
    /// `a ~ b ~ c`.
    case concatenation([TemplateExpression])
    /// `a < b <= c`, as Python chains them.
    case comparison(TemplateExpression, [(operation: TemplateComparison, operand: TemplateExpression)])
    case and([TemplateExpression])
    case or([TemplateExpression])
    case conditional(TemplateExpression, condition: TemplateExpression, otherwise: TemplateExpression?)
    /// The body of a `{% filter %}` block.
    case captured
}

enum TemplateOperator: String, Sendable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case floorDivide = "//"
    case modulo = "%"
    case power = "**"
}

enum TemplateComparison: String, Sendable {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case contained = "in"
    case notContained = "not in"
}

/// The arguments of a call as written.
struct TemplateArguments: Sendable {
    var positional: [TemplateExpression] = []
    var named: [(name: String, value: TemplateExpression)] = []
}

/// A statement and where it stands.
struct TemplateStatement: Sendable {
    let line: Int
    let kind: Kind

    indirect enum Kind: Sendable {
        case data(String)
        case output(TemplateExpression)
        /// The first branch whose condition holds; `else` has none.
        case condition([(condition: TemplateExpression?, body: [TemplateStatement])])
        case loop(TemplateLoop)
        case set(TemplateTarget, TemplateExpression)
        /// `{% set x %}…{% endset %}`, the filters applied to `captured`.
        case capture(TemplateTarget, filters: TemplateExpression, [TemplateStatement])
        case macro(TemplateMacro)
        /// `{% call(parameters) macro() %}…{% endcall %}`.
        case callBlock(TemplateExpression, caller: TemplateMacro)
        case filterBlock(TemplateExpression, [TemplateStatement])
        case with([(target: TemplateTarget, value: TemplateExpression)], [TemplateStatement])
        /// `{% generation %}`: a scope, nothing else, when no one asks for the mask.
        case generation([TemplateStatement])
        case breakLoop
        case continueLoop
    }
}

/// What `set` and `for` assign to.
indirect enum TemplateTarget: Sendable {
    case name(String)
    case tuple([TemplateTarget])
    /// `{% set ns.field = … %}`.
    case field(of: String, name: String)
}

struct TemplateLoop: Sendable {
    let target: TemplateTarget
    let iterated: TemplateExpression
    let condition: TemplateExpression?
    let isRecursive: Bool
    /// The body names `loop`: then its `length` must be known, and the condition is asked of all items beforehand.
    let readsLoop: Bool
    let body: [TemplateStatement]
    let otherwise: [TemplateStatement]
}

struct TemplateMacro: Sendable {
    let name: String
    let parameters: [(name: String, standard: TemplateExpression?)]
    let body: [TemplateStatement]
}
