// Expressions, in Jinja's order of precedence: conditional, or, and, not, comparison, sum, concatenation, product,
// power, sign, then what follows a primary: attributes, items, calls, filters, tests.
extension TemplateParser {
    /// Links of one chain like `a.b[c](d)|e`; each is one level of the tree.
    static var maxChain: Int { 32 }
    /// Operands of one flat chain, elements of one literal.
    private static var maxElements: Int { 10_000 }

    mutating func expression() throws(TemplateError) -> TemplateExpression {
        try enter()
        defer { leave() }
        var value = try disjunction()
        while skip(.name("if")) {
            let condition = try disjunction()
            let otherwise: TemplateExpression? = skip(.name("else")) ? try expression() : nil
            value = .conditional(value, condition: condition, otherwise: otherwise)
            try enter()
            leave()
        }
        return value
    }

    /// `a, b` without parentheses is a tuple.
    mutating func tupleOrExpression(allowsConditional: Bool = true) throws(TemplateError) -> TemplateExpression {
        let first = allowsConditional ? try expression() : try disjunction()
        guard current == .symbol(",") else { return first }
        var items = [first]
        while skip(.symbol(",")) {
            if isTupleEnd { break }
            items.append(allowsConditional ? try expression() : try disjunction())
            try check(items.count)
        }
        return .tuple(items)
    }

    private var isTupleEnd: Bool {
        current == .symbol(")") || current == .outputEnd || current == .blockEnd || current == .name("recursive")
            || current == .name("if")
    }

    func check(_ count: Int) throws(TemplateError) {
        guard count <= Self.maxElements else { throw fault("more than \(Self.maxElements) elements", .limit) }
    }

    private mutating func disjunction() throws(TemplateError) -> TemplateExpression {
        var operands = [try conjunction()]
        while skip(.name("or")) {
            operands.append(try conjunction())
            try check(operands.count)
        }
        return operands.count == 1 ? operands[0] : .or(operands)
    }

    private mutating func conjunction() throws(TemplateError) -> TemplateExpression {
        var operands = [try negation()]
        while skip(.name("and")) {
            operands.append(try negation())
            try check(operands.count)
        }
        return operands.count == 1 ? operands[0] : .and(operands)
    }

    private mutating func negation() throws(TemplateError) -> TemplateExpression {
        guard current == .name("not") else { return try comparison() }
        try enter()
        defer { leave() }
        advance()
        return .not(try negation())
    }

    private mutating func comparison() throws(TemplateError) -> TemplateExpression {
        let first = try sum()
        var rest: [(operation: TemplateComparison, operand: TemplateExpression)] = []
        while let operation = comparisonOperator() {
            rest.append((operation, try sum()))
            try check(rest.count)
        }
        return rest.isEmpty ? first : .comparison(first, rest)
    }

    private mutating func comparisonOperator() -> TemplateComparison? {
        switch current {
        case .symbol(let symbol):
            guard let operation = TemplateComparison(rawValue: symbol) else { return nil }
            advance()
            return operation
        case .name("in"):
            advance()
            return .contained
        case .name("not") where following == .name("in"):
            advance()
            advance()
            return .notContained
        default: return nil
        }
    }

    private mutating func chain(
        _ operators: [TemplateOperator],
        _ operand: (inout TemplateParser) throws(TemplateError) -> TemplateExpression
    ) throws(TemplateError) -> TemplateExpression {
        let first = try operand(&self)
        var rest: [(operation: TemplateOperator, operand: TemplateExpression)] = []
        while case .symbol(let symbol) = current, let operation = TemplateOperator(rawValue: symbol),
            operators.contains(operation)
        {
            advance()
            rest.append((operation, try operand(&self)))
            try check(rest.count)
        }
        return rest.isEmpty ? first : .arithmetic(first, rest)
    }

    private mutating func sum() throws(TemplateError) -> TemplateExpression {
        try chain([.add, .subtract]) { parser throws(TemplateError) in try parser.concatenation() }
    }

    private mutating func concatenation() throws(TemplateError) -> TemplateExpression {
        var operands = [try product()]
        while skip(.symbol("~")) {
            operands.append(try product())
            try check(operands.count)
        }
        return operands.count == 1 ? operands[0] : .concatenation(operands)
    }

    private mutating func product() throws(TemplateError) -> TemplateExpression {
        try chain([.multiply, .divide, .floorDivide, .modulo]) { parser throws(TemplateError) in
            try parser.chain([.power]) { parser throws(TemplateError) in try parser.signed(filtered: true) }
        }
    }

    private mutating func signed(filtered: Bool) throws(TemplateError) -> TemplateExpression {
        try enter()
        defer { leave() }
        let value: TemplateExpression
        if skip(.symbol("-")) {
            value = .negative(try signed(filtered: false))
        } else if skip(.symbol("+")) {
            value = .positive(try signed(filtered: false))
        } else {
            value = try primary()
        }
        let followed = try postfix(value)
        return filtered ? try filters(of: followed, takesTests: true) : followed
    }
}
