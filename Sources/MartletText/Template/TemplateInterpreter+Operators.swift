import Foundation

// Operators, with Python's rules. Integers are 64 bits wide; what does not fit is an error.
extension TemplateInterpreter {
    func arithmetic(
        _ operation: TemplateOperator, _ left: TemplateValue, _ right: TemplateValue
    ) throws(TemplateError) -> TemplateValue {
        for operand in [left, right] {
            if case .undefined(let reason) = operand { throw TemplateError(.undefined, reason) }
        }
        if let left = left.integer, let right = right.integer, operation != .divide {
            return try whole(operation, left, right)
        }
        if let left = left.number, let right = right.number { return try fraction(operation, left, right) }
        switch (operation, left, right) {
        case (.add, .string(let left), .string(let right)):
            try chargeText(left.utf8.count + right.utf8.count)
            return .string(left + right)
        case (.add, .list(let left), .list(let right)):
            try charge(left.items.count + right.items.count)
            return try .list(left.items + right.items)
        case (.add, .tuple(let left), .tuple(let right)):
            try charge(left.items.count + right.items.count)
            return try .tuple(left.items + right.items)
        case (.multiply, .string(let text), _) where right.integer != nil,
            (.multiply, _, .string(let text)) where left.integer != nil:
            let count = max(right.integer ?? left.integer ?? 0, 0)
            try chargeText(Self.product(text.utf8.count, count))
            return .string(text.isEmpty ? "" : PythonText.repeated(text, count))
        case (.multiply, .list(let list), _) where right.integer != nil:
            return try .list(try repeated(list.items, right.integer ?? 0))
        case (.multiply, _, .list(let list)) where left.integer != nil:
            return try .list(try repeated(list.items, left.integer ?? 0))
        case (.modulo, .string(let format), _): return try formatted(format, right)
        default:
            throw TemplateError(
                .type, "'\(operation.rawValue)' is not for \(left.typeName) and \(right.typeName)")
        }
    }

    /// Or the largest number, which no budget allows.
    private static func product(_ left: Int, _ right: Int) -> Int {
        let (product, overflow) = left.multipliedReportingOverflow(by: right)
        return overflow ? .max : product
    }

    private func repeated(_ items: [TemplateValue], _ count: Int) throws(TemplateError) -> [TemplateValue] {
        try charge(Self.product(items.count, max(count, 0)))
        return Array(repeatElement(items, count: items.isEmpty ? 0 : max(count, 0)).joined())
    }

    private func whole(
        _ operation: TemplateOperator, _ left: Int, _ right: Int
    ) throws(TemplateError) -> TemplateValue {
        func checked(_ result: (partialValue: Int, overflow: Bool)) throws(TemplateError) -> TemplateValue {
            guard !result.overflow else { throw TemplateError(.limit, "an integer beyond 64 bits") }
            return .integer(result.partialValue)
        }
        switch operation {
        case .add: return try checked(left.addingReportingOverflow(right))
        case .subtract: return try checked(left.subtractingReportingOverflow(right))
        case .multiply: return try checked(left.multipliedReportingOverflow(by: right))
        case .divide: return try fraction(operation, Double(left), Double(right))
        case .floorDivide, .modulo:
            guard right != 0 else { throw TemplateError(.type, "division by zero") }
            guard right != -1 else { return operation == .modulo ? .integer(0) : try whole(.subtract, 0, left) }
            let (quotient, remainder) = left.quotientAndRemainder(dividingBy: right)
            let isBelow = remainder != 0 && (remainder < 0) != (right < 0)
            if operation == .modulo { return .integer(isBelow ? remainder + right : remainder) }
            return .integer(isBelow ? quotient - 1 : quotient)
        case .power:
            guard right >= 0 else { return try fraction(operation, Double(left), Double(right)) }
            var result = 1
            var remaining = right
            while remaining > 0, result != 0, left != 1 {
                if left == -1 { return .integer(right % 2 == 0 ? 1 : -1) }
                guard case .integer(let next) = try checked(result.multipliedReportingOverflow(by: left)) else { break }
                result = next
                remaining -= 1
            }
            return .integer(result)
        }
    }

    private func fraction(
        _ operation: TemplateOperator, _ left: Double, _ right: Double
    ) throws(TemplateError) -> TemplateValue {
        switch operation {
        case .add: return .float(left + right)
        case .subtract: return .float(left - right)
        case .multiply: return .float(left * right)
        case .power: return .float(pow(left, right))
        case .divide, .floorDivide, .modulo:
            guard right != 0 else { throw TemplateError(.type, "division by zero") }
            if operation == .divide { return .float(left / right) }
            var remainder = fmod(left, right)
            if remainder != 0, (remainder < 0) != (right < 0) { remainder += right }
            return .float(operation == .modulo ? remainder : ((left - remainder) / right).rounded())
        }
    }
}

// Comparison.
extension TemplateInterpreter {
    func compare(
        _ operation: TemplateComparison, _ left: TemplateValue, _ right: TemplateValue
    ) throws(TemplateError) -> Bool {
        switch operation {
        case .equal: try isEqual(left, right)
        case .notEqual: !(try isEqual(left, right))
        case .less: try order(left, right, "<") < 0
        case .lessOrEqual: try order(left, right, "<=") <= 0
        case .greater: try order(left, right, ">") > 0
        case .greaterOrEqual: try order(left, right, ">=") >= 0
        case .contained: try contains(right, left)
        case .notContained: !(try contains(right, left))
        }
    }

    func isEqual(_ left: TemplateValue, _ right: TemplateValue) throws(TemplateError) -> Bool {
        try charge(1)
        if let left = left.integer, let right = right.integer { return left == right }
        if let left = left.number, let right = right.number { return left == right }
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.string(let left), .string(let right)):
            guard left.utf8.count == right.utf8.count else { return false }
            try charge(left.utf8.count / 64)
            return left.utf8.elementsEqual(right.utf8)
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            guard left.items.count == right.items.count else { return false }
            for (left, right) in zip(left.items, right.items) where !(try isEqual(left, right)) { return false }
            return true
        case (.mapping(let left), .mapping(let right)):
            guard left.count == right.count else { return false }
            for entry in left.entries {
                guard let value = try right.value(for: entry.key), try isEqual(entry.value, value) else { return false }
            }
            return true
        case (.namespace(let left), .namespace(let right)), (.macro(let left), .macro(let right)):
            return left == right
        default: return false
        }
    }

    /// Negative, zero or positive, as `left` is before, at or after `right`.
    func order(_ left: TemplateValue, _ right: TemplateValue, _ symbol: String = "<") throws(TemplateError) -> Int {
        try charge(1)
        if let left = left.integer, let right = right.integer { return left < right ? -1 : left > right ? 1 : 0 }
        if let left = left.number, let right = right.number { return left < right ? -1 : left > right ? 1 : 0 }
        switch (left, right) {
        case (.undefined(let reason), _), (_, .undefined(let reason)): throw TemplateError(.undefined, reason)
        case (.string(let left), .string(let right)):
            try charge(min(left.utf8.count, right.utf8.count) / 64)
            if left.utf8.elementsEqual(right.utf8) { return 0 }
            return left.utf8.lexicographicallyPrecedes(right.utf8) ? -1 : 1
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            for (left, right) in zip(left.items, right.items) where !(try isEqual(left, right)) {
                return try order(left, right, symbol)
            }
            return left.items.count - right.items.count
        default:
            throw TemplateError(.type, "'\(symbol)' is not for \(left.typeName) and \(right.typeName)")
        }
    }

    /// `item in container`.
    func contains(_ container: TemplateValue, _ item: TemplateValue) throws(TemplateError) -> Bool {
        switch container {
        case .undefined: return false
        case .string(let text):
            guard case .string(let part) = item else {
                throw TemplateError(.type, "'in' a str is not for \(item.typeName)")
            }
            try charge((text.utf8.count + part.utf8.count) / 16)
            return part.isEmpty || !PythonText.occurrences(of: part, in: text, limit: 1).isEmpty
        case .mapping(let mapping): return try mapping.value(for: item) != nil
        case .list(let items), .tuple(let items):
            for element in items.items where try isEqual(element, item) { return true }
            return false
        default: throw TemplateError(.type, "'in' is not for \(container.typeName)")
        }
    }
}
