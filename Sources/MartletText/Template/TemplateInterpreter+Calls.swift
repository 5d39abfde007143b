import Foundation

/// The arguments of a call, evaluated.
struct TemplateCall {
    var positional: [TemplateValue] = []
    var named: [(name: String, value: TemplateValue)] = []

    /// The argument at `index`, or by that name.
    func argument(_ index: Int, _ name: String) -> TemplateValue? {
        index < positional.count ? positional[index] : self.named(name)
    }

    func named(_ name: String) -> TemplateValue? { named.last { $0.name == name }?.value }
}

// Calls.
extension TemplateInterpreter {
    func call(_ callee: TemplateValue, _ arguments: TemplateCall) throws(TemplateError) -> TemplateValue {
        try charge(4)
        switch callee {
        case .function(let function): return try call(function, arguments)
        case .macro(let index): return try callMacro(macros[index].macro, macros[index].scope, arguments)
        case .method(let receiver, let name): return try callMethod(name, of: receiver, arguments)
        case .loop(let state):
            guard let recursion = state.recursion, let children = arguments.positional.first else {
                throw TemplateError(.type, "only a recursive loop can be called, with what it runs over")
            }
            let (loop, scope) = recursions[recursion]
            return try capture { interpreter throws(TemplateError) in
                try interpreter.run(loop, over: children, scope, depth: state.depth + 1)
            }
        case .undefined(let reason): throw TemplateError(.undefined, reason)
        default: throw TemplateError(.type, "a \(callee.typeName) cannot be called")
        }
    }

    private func call(_ function: TemplateFunction, _ arguments: TemplateCall) throws(TemplateError) -> TemplateValue {
        switch function {
        case .raiseException:
            throw TemplateError(.raised, try printed(arguments.argument(0, "message") ?? .string("")))
        case .strftimeNow:
            guard case .string(let format) = arguments.argument(0, "format") else {
                throw TemplateError(.type, "strftime_now takes a format")
            }
            return try text(Self.time(now, format))
        case .namespace:
            let fields = try mapping(arguments)
            for entry in fields.entries { if case .string(let name) = entry.key { try Self.checkField(name) } }
            namespaces.append(fields)
            return .namespace(namespaces.count - 1)
        case .dict: return .mapping(try mapping(arguments))
        case .range: return try range(arguments)
        }
    }

    /// `dict(…)`: a mapping or pairs, then names.
    private func mapping(_ arguments: TemplateCall) throws(TemplateError) -> TemplateMapping {
        var result = TemplateMapping()
        switch arguments.positional.first {
        case .mapping(let mapping)?: result = mapping
        case let pairs?:
            for pair in try elements(of: pairs) {
                let pair = try elements(of: pair)
                guard pair.count == 2 else { throw TemplateError(.type, "dict() takes pairs") }
                try result.set(pair[0], to: pair[1])
            }
        case nil: break
        }
        try charge(result.count)
        for (name, value) in arguments.named { try result.set(.string(name), to: value) }
        return result
    }

    private func range(_ arguments: TemplateCall) throws(TemplateError) -> TemplateValue {
        var bounds: [Int] = []
        for value in arguments.positional {
            guard let bound = value.integer else { throw TemplateError(.type, "range() of a \(value.typeName)") }
            bounds.append(bound)
        }
        guard (1...3).contains(bounds.count) else { throw TemplateError(.type, "range() takes one to three integers") }
        let start = bounds.count == 1 ? 0 : bounds[0]
        let end = bounds.count == 1 ? bounds[0] : bounds[1]
        let step = bounds.count == 3 ? bounds[2] : 1
        guard step != 0 else { throw TemplateError(.type, "range() with step 0") }
        let span = (step > 0 ? Double(end) - Double(start) : Double(start) - Double(end)) / abs(Double(step))
        guard span <= Double(limits.rangeLength) else {
            throw TemplateError(.limit, "range() of more than \(limits.rangeLength)")
        }
        var items: [TemplateValue] = []
        for value in stride(from: start, to: end, by: step) { items.append(.integer(value)) }
        try charge(items.count)
        return try .list(items)
    }

    private func callMacro(
        _ macro: TemplateMacro, _ outer: TemplateScope, _ arguments: TemplateCall
    ) throws(TemplateError) -> TemplateValue {
        let scope = TemplateScope(parent: outer)
        for (index, parameter) in macro.parameters.enumerated() {
            if let value = arguments.argument(index, parameter.name) {
                scope[parameter.name] = value
            } else if let standard = parameter.standard {
                scope[parameter.name] = try evaluate(standard, scope)
            } else {
                scope[parameter.name] = .undefined("parameter '\(parameter.name)' was not given")
            }
        }
        let names = macro.parameters.map(\.name)
        var rest = TemplateMapping()
        for (name, value) in arguments.named where !names.contains(name) {
            if name == "caller" { scope[name] = value } else { try rest.set(.string(name), to: value) }
        }
        scope["varargs"] = try .tuple(Array(arguments.positional.dropFirst(macro.parameters.count)))
        scope["kwargs"] = .mapping(rest)
        return try capture { interpreter throws(TemplateError) in _ = try interpreter.execute(macro.body, scope) }
    }

    /// Local time by C's `strftime`; the format's own length bounds the result.
    private static func time(_ seconds: Int, _ format: String) -> String {
        var time = time_t(seconds)
        var parts = tm()
        localtime_r(&time, &parts)
        var buffer = [CChar](repeating: 0, count: 1024)
        let count = strftime(&buffer, buffer.count, String(format.prefix(256)), &parts)
        return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

// Printing.
extension TemplateInterpreter {
    /// Python's `str`; undefined is empty.
    func printed(_ value: TemplateValue) throws(TemplateError) -> String {
        switch value {
        case .string(let text): return text
        case .undefined: return ""
        default:
            var text = ""
            try represent(value, into: &text)
            return text
        }
    }

    /// Appends Python's `repr`.
    func represent(_ value: TemplateValue, into text: inout String) throws(TemplateError) {
        try charge(1)
        switch value {
        case .undefined: text += "Undefined"
        case .none: text += "None"
        case .bool(let value): text += value ? "True" : "False"
        case .integer(let value): text += "\(value)"
        case .float(let value): text += "\(value)"
        case .string(let value):
            try charge(value.utf8.count / 4)
            text += PythonText.represented(value)
        case .list(let items):
            text += "["
            try represent(items.items, into: &text)
            text += "]"
        case .tuple(let items):
            text += "("
            try represent(items.items, into: &text)
            text += items.items.count == 1 ? ",)" : ")"
        case .mapping(let mapping):
            text += "{"
            for (index, entry) in mapping.entries.enumerated() {
                if index > 0 { text += ", " }
                try represent(entry.key, into: &text)
                text += ": "
                try represent(entry.value, into: &text)
            }
            text += "}"
        case .namespace, .macro, .loop, .function, .method: text += "<\(value.typeName)>"
        }
        try chargeText(min(text.utf8.count, 64))
        guard text.utf8.count <= limits.outputBytes else {
            throw TemplateError(.limit, "a text of more than \(limits.outputBytes) bytes")
        }
    }

    private func represent(_ items: [TemplateValue], into text: inout String) throws(TemplateError) {
        for (index, item) in items.enumerated() {
            if index > 0 { text += ", " }
            try represent(item, into: &text)
        }
    }
}
