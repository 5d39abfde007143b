// Primaries and what follows them.
extension TemplateParser {
    mutating func primary() throws(TemplateError) -> TemplateExpression {
        let token = current
        advance()
        switch token {
        case .name("true"), .name("True"): return .bool(true)
        case .name("false"), .name("False"): return .bool(false)
        case .name("none"), .name("None"): return .none
        case .name(let name): return .name(name)
        case .integer(let value): return .integer(value)
        case .float(let value): return .float(value)
        case .string(let text):
            var text = text
            while case .string(let more) = current {
                text += more
                advance()
            }
            return .string(text)
        case .symbol("("): return try parenthesised()
        case .symbol("["): return .list(try elements(until: "]"))
        case .symbol("{"): return try dictionary()
        default:
            rewind()
            throw fault("expected an expression, found \(described)")
        }
    }

    private mutating func parenthesised() throws(TemplateError) -> TemplateExpression {
        if skip(.symbol(")")) { return .tuple([]) }
        let value = try tupleOrExpression()
        try expect(.symbol(")"), "')'")
        return value
    }

    private mutating func elements(until end: String) throws(TemplateError) -> [TemplateExpression] {
        var elements: [TemplateExpression] = []
        while !skip(.symbol(end)) {
            elements.append(try expression())
            try check(elements.count)
            if current != .symbol(end) { try expect(.symbol(","), "',' or '\(end)'") }
        }
        return elements
    }

    private mutating func dictionary() throws(TemplateError) -> TemplateExpression {
        var entries: [(key: TemplateExpression, value: TemplateExpression)] = []
        while !skip(.symbol("}")) {
            let key = try expression()
            try expect(.symbol(":"), "':'")
            entries.append((key, try expression()))
            try check(entries.count)
            if current != .symbol("}") { try expect(.symbol(","), "',' or '}'") }
        }
        return .dictionary(entries)
    }

    /// Attributes, items and calls after a primary.
    mutating func postfix(_ base: TemplateExpression) throws(TemplateError) -> TemplateExpression {
        var value = base
        var links = 0
        while true {
            switch current {
            case .symbol("."):
                advance()
                if case .integer(let index) = current {
                    advance()
                    value = .item(value, .integer(index))
                } else {
                    value = .attribute(value, try name())
                }
            case .symbol("["):
                advance()
                value = try subscripted(value)
            case .symbol("("): value = .call(value, try arguments())
            default: return value
            }
            links += 1
            guard links <= Self.maxChain else { throw fault("a chain of more than \(Self.maxChain) links", .limit) }
        }
    }

    private mutating func subscripted(_ value: TemplateExpression) throws(TemplateError) -> TemplateExpression {
        var bounds: [TemplateExpression?] = []
        var isSlice = false
        while true {
            if current == .symbol(":") || current == .symbol("]") {
                bounds.append(nil)
            } else {
                let bound = try isSlice ? expression() : tupleOrExpression()
                bounds.append(bound)
            }
            if skip(.symbol(":")) {
                isSlice = true
                guard bounds.count < 3 else { throw fault("a slice has at most three parts") }
                continue
            }
            try expect(.symbol("]"), "']'")
            break
        }
        guard isSlice else {
            guard let index = bounds[0] else { throw fault("expected an index") }
            return .item(value, index)
        }
        return .slice(value, from: bounds[0], to: bounds[1], by: bounds.count > 2 ? bounds[2] : nil)
    }

    private mutating func arguments() throws(TemplateError) -> TemplateArguments {
        try expect(.symbol("("), "'('")
        var arguments = TemplateArguments()
        while !skip(.symbol(")")) {
            if current == .symbol("*") || current == .symbol("**") {
                throw fault("spreading arguments is not supported", .unsupported)
            }
            if case .name(let name) = current, following == .symbol("=") {
                advance()
                advance()
                arguments.named.append((name, try expression()))
            } else {
                guard arguments.named.isEmpty else { throw fault("a positional argument follows a named one") }
                arguments.positional.append(try expression())
            }
            try check(arguments.positional.count + arguments.named.count)
            if current != .symbol(")") { try expect(.symbol(","), "',' or ')'") }
        }
        return arguments
    }

    /// Filters and, in expressions, tests and calls of what they give.
    mutating func filters(
        of base: TemplateExpression, startsWithName: Bool = false, takesTests: Bool = false
    ) throws(TemplateError) -> TemplateExpression {
        var value = base
        var links = 0
        var expectsName = startsWithName
        while true {
            if expectsName || current == .symbol("|") {
                if !expectsName { advance() }
                expectsName = false
                let name = try dottedName()
                value = .filter(value, name: name, current == .symbol("(") ? try arguments() : TemplateArguments())
            } else if takesTests, skip(.name("is")) {
                value = try test(of: value)
            } else if takesTests, current == .symbol("("), links > 0 {
                value = .call(value, try arguments())
            } else {
                return value
            }
            links += 1
            guard links <= Self.maxChain else { throw fault("a chain of more than \(Self.maxChain) links", .limit) }
        }
    }

    private mutating func dottedName() throws(TemplateError) -> String {
        var text = try name()
        while current == .symbol("."), case .name(let more) = following {
            text += "." + more
            advance()
            advance()
        }
        return text
    }

    private mutating func test(of value: TemplateExpression) throws(TemplateError) -> TemplateExpression {
        let isNegated = skip(.name("not"))
        let name = try dottedName()
        var arguments = TemplateArguments()
        switch current {
        case .symbol("("): arguments = try self.arguments()
        case .name("else"), .name("or"), .name("and"): break
        case .name("is"): throw fault("tests cannot be chained with 'is'")
        case .name, .string, .integer, .float, .symbol("["), .symbol("{"):
            arguments.positional = [try postfix(try primary())]
        default: break
        }
        return .test(value, name: name, arguments, isNegated: isNegated)
    }
}
