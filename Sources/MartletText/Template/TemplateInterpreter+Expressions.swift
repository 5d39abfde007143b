// Expressions.
extension TemplateInterpreter {
    func evaluate(_ expression: TemplateExpression, _ scope: TemplateScope) throws(TemplateError) -> TemplateValue {
        try charge(1)
        switch expression {
        case .none: return .none
        case .bool(let value): return .bool(value)
        case .integer(let value): return .integer(value)
        case .float(let value): return .float(value)
        case .string(let value): return .string(value)
        case .name(let name): return scope[name] ?? .undefined("'\(name)' is undefined")
        case .captured: return captured
        default:
            try enter()
            defer { leave() }
            return try compound(expression, scope)
        }
    }

    private func compound(
        _ expression: TemplateExpression, _ scope: TemplateScope
    ) throws(TemplateError) -> TemplateValue {
        switch expression {
        case .attribute(let owner, let name): return try attribute(name, of: try evaluate(owner, scope))
        case .item(let owner, let key): return try item(try evaluate(key, scope), of: try evaluate(owner, scope))
        case .call(let callee, let arguments):
            return try call(try evaluate(callee, scope), try self.arguments(arguments, scope))
        case .filter(let value, let name, let arguments):
            return try filter(name, try evaluate(value, scope), try self.arguments(arguments, scope))
        case .test(let value, let name, let arguments, let isNegated):
            let holds = try test(name, try evaluate(value, scope), try self.arguments(arguments, scope))
            return .bool(holds != isNegated)
        case .list, .tuple, .dictionary: return try literal(expression, scope)
        case .slice(let value, let from, let to, let by):
            return try slice(try evaluate(value, scope), [from, to, by], scope)
        default: return try operation(expression, scope)
        }
    }

    private func literal(
        _ expression: TemplateExpression, _ scope: TemplateScope
    ) throws(TemplateError) -> TemplateValue {
        switch expression {
        case .list(let items): return try .list(try evaluated(items, scope))
        case .tuple(let items): return try .tuple(try evaluated(items, scope))
        case .dictionary(let entries):
            var mapping = TemplateMapping()
            for (key, value) in entries { try mapping.set(try evaluate(key, scope), to: try evaluate(value, scope)) }
            return .mapping(mapping)
        default: return .none
        }
    }

    private func evaluated(
        _ expressions: [TemplateExpression], _ scope: TemplateScope
    ) throws(TemplateError) -> [TemplateValue] {
        var values: [TemplateValue] = []
        for expression in expressions { values.append(try evaluate(expression, scope)) }
        return values
    }

    private func operation(
        _ expression: TemplateExpression, _ scope: TemplateScope
    ) throws(TemplateError) -> TemplateValue {
        switch expression {
        case .not(let value): return .bool(!(try evaluate(value, scope).isTrue))
        case .and(let operands): return try firstDeciding(operands, scope, decides: false)
        case .or(let operands): return try firstDeciding(operands, scope, decides: true)
        case .conditional(let value, let condition, let otherwise):
            if try evaluate(condition, scope).isTrue { return try evaluate(value, scope) }
            guard let otherwise else { return .undefined("the condition does not hold and there is no 'else'") }
            return try evaluate(otherwise, scope)
        case .negative(let value): return try arithmetic(.subtract, .integer(0), try number(value, scope))
        case .positive(let value): return try number(value, scope)
        case .arithmetic(let first, let rest):
            var value = try evaluate(first, scope)
            for (operation, operand) in rest { value = try arithmetic(operation, value, try evaluate(operand, scope)) }
            return value
        case .concatenation(let operands):
            var text = ""
            for operand in operands {
                text += try printed(try evaluate(operand, scope))
                try chargeText(text.utf8.count)
            }
            return .string(text)
        case .comparison(let first, let rest):
            var left = try evaluate(first, scope)
            for (operation, operand) in rest {
                let right = try evaluate(operand, scope)
                guard try compare(operation, left, right) else { return .bool(false) }
                left = right
            }
            return .bool(true)
        default: throw TemplateError(.unsupported, "an expression of an unknown kind")
        }
    }

    /// The operand of a sign.
    private func number(_ value: TemplateExpression, _ scope: TemplateScope) throws(TemplateError) -> TemplateValue {
        let value = try evaluate(value, scope)
        guard value.number != nil else {
            throw TemplateError(value.isUndefined ? .undefined : .type, "a sign before a \(value.typeName)")
        }
        return value
    }

    /// Python's `and` and `or` give an operand, not a boolean.
    private func firstDeciding(
        _ operands: [TemplateExpression], _ scope: TemplateScope, decides: Bool
    ) throws(TemplateError) -> TemplateValue {
        var value = TemplateValue.none
        for operand in operands {
            value = try evaluate(operand, scope)
            if value.isTrue == decides { break }
        }
        return value
    }

    func arguments(
        _ arguments: TemplateArguments, _ scope: TemplateScope
    ) throws(TemplateError) -> TemplateCall {
        var call = TemplateCall()
        for value in arguments.positional { call.positional.append(try evaluate(value, scope)) }
        for (name, value) in arguments.named { call.named.append((name, try evaluate(value, scope))) }
        return call
    }
}

// Parts of values.
extension TemplateInterpreter {
    /// `owner.name`: an attribute if Python's type has one, else the item.
    func attribute(_ name: String, of owner: TemplateValue) throws(TemplateError) -> TemplateValue {
        if let attribute = try ownAttribute(name, of: owner) { return attribute }
        if case .mapping(let mapping) = owner, let value = mapping[name] { return value }
        return .undefined("a \(owner.typeName) has no attribute '\(name)'")
    }

    private func ownAttribute(_ name: String, of owner: TemplateValue) throws(TemplateError) -> TemplateValue? {
        switch owner {
        case .undefined(let reason): throw TemplateError(.undefined, reason)
        case .string: return Self.stringMethods.contains(name) ? .method(owner, name: name) : nil
        case .list, .tuple: return Self.sequenceMethods.contains(name) ? .method(owner, name: name) : nil
        case .mapping: return Self.mappingMethods.contains(name) ? .method(owner, name: name) : nil
        case .namespace(let index): return namespaces[index][name]
        case .loop(let state): return state.attribute(name)
        case .macro(let index): return name == "name" ? .string(macros[index].macro.name) : nil
        case .function(.dict): return name == "fromkeys" ? .method(owner, name: name) : nil
        default: return nil
        }
    }

    /// `owner[key]`: the item if there is one, else the attribute.
    func item(_ key: TemplateValue, of owner: TemplateValue) throws(TemplateError) -> TemplateValue {
        switch owner {
        case .undefined(let reason): throw TemplateError(.undefined, reason)
        case .mapping(let mapping): if let value = try mapping.value(for: key) { return value }
        case .list(let items), .tuple(let items):
            if let index = key.integer {
                return element(index, of: items.items, owner)
            }
        case .string(let text):
            if let index = key.integer {
                try chargeText(text.utf8.count)
                return element(index, of: text.unicodeScalars.map { .string(String(Character($0))) }, owner)
            }
        default: break
        }
        if case .string(let name) = key, let attribute = try ownAttribute(name, of: owner) { return attribute }
        return .undefined("a \(owner.typeName) has no such item")
    }

    private func element(_ index: Int, of items: [TemplateValue], _ owner: TemplateValue) -> TemplateValue {
        let position = index < 0 ? items.count + max(index, -items.count - 1) : index
        guard items.indices.contains(position) else { return .undefined("a \(owner.typeName) has no item \(index)") }
        return items[position]
    }

    private func slice(
        _ value: TemplateValue, _ bounds: [TemplateExpression?], _ scope: TemplateScope
    ) throws(TemplateError) -> TemplateValue {
        var limits: [Int?] = []
        for bound in bounds {
            guard let bound else {
                limits.append(nil)
                continue
            }
            let value = try evaluate(bound, scope)
            guard value.integer != nil || value.typeName == "None" else {
                throw TemplateError(.type, "a slice with a \(value.typeName)")
            }
            limits.append(value.integer)
        }
        switch value {
        case .list(let items): return try .list(try sliced(items.items, limits))
        case .tuple(let items): return try .tuple(try sliced(items.items, limits))
        case .string(let text):
            try chargeText(text.utf8.count)
            var result = ""
            result.unicodeScalars.append(contentsOf: try sliced(Array(text.unicodeScalars), limits))
            return .string(result)
        case .undefined(let reason): throw TemplateError(.undefined, reason)
        default: return .undefined("a \(value.typeName) has no slices")
        }
    }

    /// Python's slice, `limits` being start, stop and step.
    private func sliced<Element>(_ items: [Element], _ limits: [Int?]) throws(TemplateError) -> [Element] {
        let step = limits[2] ?? 1
        guard step != 0 else { throw TemplateError(.type, "a slice with step 0") }
        let count = items.count
        func bounded(_ index: Int?, _ standard: Int) -> Int {
            guard let index else { return standard }
            let position = index < 0 ? max(index, -count - 1) + count : min(index, count)
            return step > 0 ? max(position, 0) : min(max(position, -1), count - 1)
        }
        var index = bounded(limits[0], step > 0 ? 0 : count - 1)
        let end = bounded(limits[1], step > 0 ? count : -1)
        var result: [Element] = []
        try charge(count)
        while step > 0 ? index < end : index > end {
            result.append(items[index])
            let (next, overflow) = index.addingReportingOverflow(step)
            if overflow { break }
            index = next
        }
        return result
    }

    /// What a loop over `value` sees.
    func elements(of value: TemplateValue) throws(TemplateError) -> [TemplateValue] {
        switch value {
        case .list(let items), .tuple(let items): return items.items
        case .mapping(let mapping):
            try charge(mapping.count)
            return mapping.entries.map(\.key)
        case .string(let text):
            try charge(text.utf8.count)
            return text.unicodeScalars.map { .string(String(Character($0))) }
        case .undefined: return []
        default: throw TemplateError(.type, "a \(value.typeName) cannot be iterated")
        }
    }
}
