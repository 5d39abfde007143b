import MartletCore

/// One rendering: walks the tree, charging every step. Its extensions hold expressions, operators, calls, filters,
/// tests and methods.
final class TemplateInterpreter {
    let limits: TemplateLimits
    /// Seconds since 1970.
    let now: Int
    private let file: String
    private var remainingSteps: Int
    private var depth = 0
    private var line = 1
    /// What is being written; a macro or captured block puts its own aside.
    private var output = ""
    /// The body of the innermost `{% filter %}` or `{% set x %}` block.
    var captured = TemplateValue.undefined("no block is captured")
    var namespaces: [TemplateMapping] = []
    var macros: [(macro: TemplateMacro, scope: TemplateScope)] = []
    var recursions: [(loop: TemplateLoop, scope: TemplateScope)] = []

    /// What a body asks of the loop around it.
    enum Flow { case next, breakLoop, continueLoop }

    init(file: String, limits: TemplateLimits, now: Int) {
        self.file = file
        self.limits = limits
        self.now = now
        remainingSteps = limits.steps
    }

    func render(_ body: [TemplateStatement], variables: JSONObject) throws(TemplateError) -> String {
        do {
            let globals = TemplateScope(parent: nil)
            for function in TemplateFunction.allCases { globals[function.rawValue] = .function(function) }
            let scope = TemplateScope(parent: globals)
            for entry in variables.entries { scope[entry.key] = try TemplateValue(entry.value) }
            _ = try execute(body, scope)
            return output
        } catch {
            throw error.at(file: file, line: line)
        }
    }
}

// Bounds.
extension TemplateInterpreter {
    /// Takes `count` steps from the budget.
    func charge(_ count: Int) throws(TemplateError) {
        remainingSteps -= count
        guard remainingSteps >= 0 else { throw TemplateError(.limit, "more than \(limits.steps) steps") }
    }

    /// Charges for moving a text of `bytes`, which no text may exceed.
    func chargeText(_ bytes: Int) throws(TemplateError) {
        guard bytes <= limits.outputBytes else {
            throw TemplateError(.limit, "a text of more than \(limits.outputBytes) bytes")
        }
        try charge(1 + bytes / 64)
    }

    /// A new text, charged.
    func text(_ value: String) throws(TemplateError) -> TemplateValue {
        try chargeText(value.utf8.count)
        return .string(value)
    }

    /// One level down; `leave` goes up.
    func enter() throws(TemplateError) {
        depth += 1
        guard depth <= limits.depth else { throw TemplateError(.limit, "nested deeper than \(limits.depth)") }
    }

    func leave() { depth -= 1 }

    func write(_ text: String) throws(TemplateError) {
        try chargeText(text.utf8.count)
        guard output.utf8.count + text.utf8.count <= limits.outputBytes else {
            throw TemplateError(.limit, "an output of more than \(limits.outputBytes) bytes")
        }
        output += text
    }
}

// Statements.
extension TemplateInterpreter {
    func execute(_ body: [TemplateStatement], _ scope: TemplateScope) throws(TemplateError) -> Flow {
        try enter()
        defer { leave() }
        for statement in body {
            line = statement.line
            try charge(1)
            let flow = try execute(statement.kind, scope)
            if flow != .next { return flow }
        }
        return .next
    }

    private func execute(_ statement: TemplateStatement.Kind, _ scope: TemplateScope) throws(TemplateError) -> Flow {
        switch statement {
        case .data(let text): try write(text)
        case .output(let value): try write(try printed(try evaluate(value, scope)))
        case .condition(let branches):
            for branch in branches {
                if let condition = branch.condition, !(try evaluate(condition, scope).isTrue) { continue }
                return try execute(branch.body, scope)
            }
        case .loop(let loop):
            let iterated = try evaluate(loop.iterated, scope)
            try run(loop, over: iterated, scope, depth: 0)
        case .set(let target, let value): try assign(try evaluate(value, scope), to: target, scope)
        case .capture(let target, let filters, let body):
            let text = try capture { interpreter throws(TemplateError) in
                _ = try interpreter.execute(body, TemplateScope(parent: scope))
            }
            try assign(try apply(filters, to: text, scope), to: target, scope)
        case .filterBlock(let filters, let body):
            let text = try capture { interpreter throws(TemplateError) in
                _ = try interpreter.execute(body, TemplateScope(parent: scope))
            }
            try write(try printed(try apply(filters, to: text, scope)))
        case .macro(let macro): scope[macro.name] = define(macro, scope)
        case .callBlock(let call, let caller):
            guard case .call(let callee, let arguments) = call else { break }
            var given = try self.arguments(arguments, scope)
            given.named.append(("caller", define(caller, scope)))
            try write(try printed(try self.call(try evaluate(callee, scope), given)))
        case .with(let values, let body):
            let inner = TemplateScope(parent: scope)
            for (target, value) in values { try assign(try evaluate(value, scope), to: target, inner) }
            return try execute(body, inner)
        case .generation(let body): return try execute(body, TemplateScope(parent: scope))
        case .breakLoop: return .breakLoop
        case .continueLoop: return .continueLoop
        }
        return .next
    }

    private func define(_ macro: TemplateMacro, _ scope: TemplateScope) -> TemplateValue {
        macros.append((macro, scope))
        return .macro(macros.count - 1)
    }

    /// What `body` writes.
    func capture(_ body: (TemplateInterpreter) throws(TemplateError) -> Void) throws(TemplateError) -> TemplateValue {
        let outer = output
        output = ""
        defer { output = outer }
        try body(self)
        return .string(output)
    }

    private func apply(
        _ filters: TemplateExpression, to text: TemplateValue, _ scope: TemplateScope
    ) throws(TemplateError) -> TemplateValue {
        let outer = captured
        captured = text
        defer { captured = outer }
        return try evaluate(filters, scope)
    }

    private func assign(
        _ value: TemplateValue, to target: TemplateTarget, _ scope: TemplateScope
    ) throws(TemplateError) {
        switch target {
        case .name(let name): scope[name] = value
        case .tuple(let targets):
            let items = try elements(of: value)
            guard items.count == targets.count else {
                throw TemplateError(.type, "\(items.count) values for \(targets.count) names")
            }
            for (target, item) in zip(targets, items) { try assign(item, to: target, scope) }
        case .field(let owner, let name):
            guard case .namespace(let index) = scope[owner] else {
                throw TemplateError(.type, "cannot set an attribute of '\(owner)': it is not a namespace")
            }
            try Self.checkField(name)
            try namespaces[index].set(.string(name), to: value)
        }
    }

    /// - Throws: for names that the sandbox keeps from namespaces.
    static func checkField(_ name: String) throws(TemplateError) {
        guard !name.hasPrefix("_") else { throw TemplateError(.type, "a namespace holds no '\(name)'") }
    }

    /// Runs a loop over `iterated`; `depth` counts its recursion.
    func run(
        _ loop: TemplateLoop, over iterated: TemplateValue, _ scope: TemplateScope, depth: Int
    ) throws(TemplateError) {
        var items = try elements(of: iterated)
        if loop.readsLoop, let condition = loop.condition {
            var kept: [TemplateValue] = []
            for item in items where try evaluate(condition, try inner(item, loop, scope)).isTrue { kept.append(item) }
            items = kept
        }
        if loop.isRecursive { recursions.append((loop, scope)) }
        let state = TemplateLoopState(
            items: items, depth: depth, recursion: loop.isRecursive ? recursions.count - 1 : nil)
        var isEmpty = true
        for index in items.indices {
            try charge(3)
            let inner = try inner(items[index], loop, scope)
            if loop.readsLoop {
                state.index = index
                inner["loop"] = .loop(state)
            } else if let condition = loop.condition, !(try evaluate(condition, inner).isTrue) {
                continue
            }
            isEmpty = false
            if try execute(loop.body, inner) == .breakLoop { break }
        }
        if isEmpty { _ = try execute(loop.otherwise, TemplateScope(parent: scope)) }
    }

    private func inner(
        _ item: TemplateValue, _ loop: TemplateLoop, _ scope: TemplateScope
    ) throws(TemplateError) -> TemplateScope {
        let inner = TemplateScope(parent: scope)
        try assign(item, to: loop.target, inner)
        return inner
    }
}
