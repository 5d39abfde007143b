/// Statements of a template, by recursive descent with a bound on the depth; `TemplateParser+Expressions` has the rest.
struct TemplateParser {
    private let tokens: [TemplateToken]
    private let file: String
    private var position = 0
    private var depth = 0
    private var loopDepth = 0

    init(_ tokens: [TemplateToken], file: String) {
        self.tokens = tokens
        self.file = file
    }

    /// - Throws: `TemplateError` of kind `.syntax`, `.unsupported` or `.limit`.
    mutating func template() throws(TemplateError) -> [TemplateStatement] {
        let body = try statements(until: [])
        guard current == .end else { throw fault("unexpected \(described)") }
        return body
    }
}

// The token stream.
extension TemplateParser {
    var current: TemplateToken.Kind { position < tokens.count ? tokens[position].kind : .end }
    var line: Int { tokens.isEmpty ? 1 : tokens[min(position, tokens.count - 1)].line }

    var following: TemplateToken.Kind { position + 1 < tokens.count ? tokens[position + 1].kind : .end }

    mutating func advance() { position += 1 }

    /// Back to a token that was taken, to name it.
    mutating func rewind() { position -= 1 }

    mutating func skip(_ kind: TemplateToken.Kind) -> Bool {
        guard current == kind else { return false }
        advance()
        return true
    }

    mutating func expect(_ kind: TemplateToken.Kind, _ what: String) throws(TemplateError) {
        guard skip(kind) else { throw fault("expected \(what), found \(described)") }
    }

    mutating func name() throws(TemplateError) -> String {
        guard case .name(let name) = current else { throw fault("expected a name, found \(described)") }
        advance()
        return name
    }

    var described: String {
        switch current {
        case .data: "text"
        case .outputBegin: "'{{'"
        case .outputEnd: "'}}'"
        case .blockBegin: "'{%'"
        case .blockEnd: "'%}'"
        case .name(let name): "'\(name.prefix(40))'"
        case .string: "a string"
        case .integer, .float: "a number"
        case .symbol(let symbol): "'\(symbol)'"
        case .end: "the end of the template"
        }
    }

    func fault(_ message: String, _ kind: TemplateError.Kind = .syntax) -> TemplateError {
        TemplateError(kind, message, file: file, line: line)
    }

    /// One level down; `leave` goes up again.
    mutating func enter() throws(TemplateError) {
        depth += 1
        guard depth <= TemplateLimits.parserDepth else {
            throw fault("nested deeper than \(TemplateLimits.parserDepth)", .limit)
        }
    }

    mutating func leave() { depth -= 1 }
}

// Statements.
extension TemplateParser {
    /// Up to, and not including, `{% name` of one of the given names, or to the end.
    private mutating func statements(until ends: [String]) throws(TemplateError) -> [TemplateStatement] {
        try enter()
        defer { leave() }
        var statements: [TemplateStatement] = []
        while current != .end {
            let line = line
            switch current {
            case .data(let text):
                advance()
                statements.append(TemplateStatement(line: line, kind: .data(text)))
            case .outputBegin:
                advance()
                let value = try tupleOrExpression()
                try expect(.outputEnd, "'}}'")
                statements.append(TemplateStatement(line: line, kind: .output(value)))
            default:
                if case .name(let name) = following, ends.contains(name) { return statements }
                try expect(.blockBegin, "'{%'")
                statements.append(TemplateStatement(line: line, kind: try statement()))
            }
        }
        guard ends.isEmpty else { throw fault("expected '\(ends.last ?? "")', found the end of the template") }
        return statements
    }

    /// A body and the name that ended it; the block's closing `%}` is still to come.
    private mutating func body(until ends: String...) throws(TemplateError) -> (
        body: [TemplateStatement], end: String
    ) {
        let body = try statements(until: ends)
        try expect(.blockBegin, "'{%'")
        return (body, try name())
    }

    /// A body up to `end`, whose tag is consumed too.
    private mutating func block(until end: String) throws(TemplateError) -> [TemplateStatement] {
        let body = try body(until: end).body
        try closeTag()
        return body
    }

    private mutating func closeTag() throws(TemplateError) { try expect(.blockEnd, "'%}'") }

    /// After `{%`, to after its `%}` (or that of its end tag).
    private mutating func statement() throws(TemplateError) -> TemplateStatement.Kind {
        let keyword = try name()
        switch keyword {
        case "if": return try condition()
        case "for": return try loop()
        case "set": return try set()
        case "macro": return try macro()
        case "call": return try callBlock()
        case "filter": return try filterBlock()
        case "with": return try with()
        case "generation":
            try closeTag()
            return .generation(try block(until: "endgeneration"))
        case "break", "continue":
            guard loopDepth > 0 else { throw fault("'\(keyword)' outside of a loop") }
            try closeTag()
            return keyword == "break" ? .breakLoop : .continueLoop
        case "block", "extends", "include", "import", "from", "autoescape", "do", "trans", "debug":
            throw fault("'{% \(keyword) %}' has no place in a chat template", .unsupported)
        default: throw fault("unknown tag '\(keyword.prefix(40))'")
        }
    }

    private mutating func condition() throws(TemplateError) -> TemplateStatement.Kind {
        var branches: [(condition: TemplateExpression?, body: [TemplateStatement])] = []
        var test: TemplateExpression? = try tupleOrExpression(allowsConditional: true)
        while true {
            try closeTag()
            if test == nil {
                branches.append((nil, try block(until: "endif")))
                return .condition(branches)
            }
            let (body, end) = try body(until: "elif", "else", "endif")
            branches.append((test, body))
            switch end {
            case "elif": test = try tupleOrExpression()
            case "else": test = nil
            default:
                try closeTag()
                return .condition(branches)
            }
        }
    }

    private mutating func loop() throws(TemplateError) -> TemplateStatement.Kind {
        let target = try target(allowsField: false)
        try expect(.name("in"), "'in'")
        let iterated = try tupleOrExpression(allowsConditional: false)
        let condition: TemplateExpression? = skip(.name("if")) ? try expression() : nil
        let isRecursive = skip(.name("recursive"))
        try closeTag()
        let start = position
        loopDepth += 1
        let (body, end) = try body(until: "else", "endfor")
        loopDepth -= 1
        let readsLoop = tokens[start..<position].contains { $0.kind == .name("loop") }
        try closeTag()
        let otherwise = end == "else" ? try block(until: "endfor") : []
        return .loop(
            TemplateLoop(
                target: target, iterated: iterated, condition: condition, isRecursive: isRecursive,
                readsLoop: readsLoop, body: body, otherwise: otherwise))
    }

    private mutating func target(allowsField: Bool) throws(TemplateError) -> TemplateTarget {
        var targets: [TemplateTarget] = []
        var isTuple = false
        repeat {
            if skip(.symbol("(")) {
                try enter()
                targets.append(try target(allowsField: false))
                leave()
                try expect(.symbol(")"), "')'")
            } else {
                let name = try name()
                if allowsField, targets.isEmpty, skip(.symbol(".")) { return .field(of: name, name: try self.name()) }
                targets.append(.name(name))
            }
            guard current == .symbol(",") else { break }
            advance()
            isTuple = true
            if current == .symbol("=") || current == .name("in") || current == .symbol(")") { break }
        } while true
        return isTuple ? .tuple(targets) : targets[0]
    }

    private mutating func set() throws(TemplateError) -> TemplateStatement.Kind {
        let target = try target(allowsField: true)
        if skip(.symbol("=")) {
            let value = try tupleOrExpression()
            try closeTag()
            return .set(target, value)
        }
        let filters = try filters(of: .captured)
        try closeTag()
        return .capture(target, filters: filters, try block(until: "endset"))
    }

    private mutating func parameters() throws(TemplateError) -> [(name: String, standard: TemplateExpression?)] {
        var parameters: [(name: String, standard: TemplateExpression?)] = []
        try expect(.symbol("("), "'('")
        while current != .symbol(")") {
            let name = try name()
            let standard: TemplateExpression? = skip(.symbol("=")) ? try expression() : nil
            guard standard != nil || parameters.last?.standard == nil else {
                throw fault("a parameter without a default follows one that has it")
            }
            parameters.append((name, standard))
            if current != .symbol(")") { try expect(.symbol(","), "','") }
        }
        advance()
        return parameters
    }

    /// Loop controls do not reach out of a macro.
    private mutating func macroBody(until end: String) throws(TemplateError) -> [TemplateStatement] {
        let outer = loopDepth
        loopDepth = 0
        defer { loopDepth = outer }
        return try block(until: end)
    }

    private mutating func macro() throws(TemplateError) -> TemplateStatement.Kind {
        let name = try name()
        let parameters = try parameters()
        try closeTag()
        return .macro(
            TemplateMacro(name: name, parameters: parameters, body: try macroBody(until: "endmacro")))
    }

    private mutating func callBlock() throws(TemplateError) -> TemplateStatement.Kind {
        let parameters = current == .symbol("(") ? try parameters() : []
        let call = try expression()
        guard case .call = call else { throw fault("'call' needs a call") }
        try closeTag()
        let body = try macroBody(until: "endcall")
        return .callBlock(call, caller: TemplateMacro(name: "caller", parameters: parameters, body: body))
    }

    private mutating func filterBlock() throws(TemplateError) -> TemplateStatement.Kind {
        let filters = try filters(of: .captured, startsWithName: true)
        try closeTag()
        return .filterBlock(filters, try block(until: "endfilter"))
    }

    private mutating func with() throws(TemplateError) -> TemplateStatement.Kind {
        var values: [(target: TemplateTarget, value: TemplateExpression)] = []
        while current != .blockEnd {
            if !values.isEmpty { try expect(.symbol(","), "','") }
            let name = try name()
            try expect(.symbol("="), "'='")
            values.append((.name(name), try expression()))
        }
        advance()
        return .with(values, try block(until: "endwith"))
    }
}
