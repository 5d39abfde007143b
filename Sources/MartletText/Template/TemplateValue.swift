import MartletCore

/// A value of the template language: Python's, as far as chat templates use them. Nothing here can be changed in place
/// (Jinja's sandbox forbids it too), namespaces aside, and those live in the interpreter under a number: so there are
/// no cycles, and a value is as deep as it says.
enum TemplateValue {
    /// What was missing; prints as nothing, and may not be looked into.
    case undefined(String)
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case string(String)
    case list(TemplateSequence)
    case tuple(TemplateSequence)
    case mapping(TemplateMapping)
    /// Index into the interpreter's namespaces.
    case namespace(Int)
    /// Index into the interpreter's macros.
    case macro(Int)
    case loop(TemplateLoopState)
    case function(TemplateFunction)
    /// `receiver.name`, to be called.
    indirect case method(TemplateValue, name: String)

    /// Values nested deeper are refused, so that printing or freeing one can't exhaust the stack.
    static let maxDepth = 256

    static func list(_ items: [TemplateValue]) throws(TemplateError) -> TemplateValue {
        .list(try TemplateSequence(items))
    }

    static func tuple(_ items: [TemplateValue]) throws(TemplateError) -> TemplateValue {
        .tuple(try TemplateSequence(items))
    }

    init(_ value: JSONValue) throws(TemplateError) {
        switch value {
        case .null: self = .none
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .integer(Int(value))
        case .number(let value): self = .float(value)
        case .string(let value): self = .string(value)
        case .array(let values):
            var items: [TemplateValue] = []
            items.reserveCapacity(values.count)
            for value in values { items.append(try TemplateValue(value)) }
            self = try .list(items)
        case .object(let object):
            var mapping = TemplateMapping()
            for entry in object.entries { try mapping.set(.string(entry.key), to: try TemplateValue(entry.value)) }
            self = .mapping(mapping)
        }
    }

    /// How many levels of values this one holds.
    var depth: Int {
        switch self {
        case .list(let items), .tuple(let items): items.depth
        case .mapping(let mapping): mapping.depth
        case .method(let receiver, _): receiver.depth + 1
        default: 0
        }
    }

    /// Python's truth.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let value): value
        case .integer(let value): value != 0
        case .float(let value): value != 0
        case .string(let value): !value.isEmpty
        case .list(let items), .tuple(let items): !items.items.isEmpty
        case .mapping(let mapping): mapping.count > 0
        case .namespace, .macro, .loop, .function, .method: true
        }
    }

    var isUndefined: Bool { if case .undefined = self { true } else { false } }

    /// Booleans count as numbers, as in Python.
    var integer: Int? {
        switch self {
        case .bool(let value): value ? 1 : 0
        case .integer(let value): value
        default: nil
        }
    }

    var number: Double? {
        if case .float(let value) = self { value } else { integer.map(Double.init) }
    }

    var string: String? { if case .string(let value) = self { value } else { nil } }

    /// Python's name of the type, for messages.
    var typeName: String {
        switch self {
        case .undefined: "undefined"
        case .none: "None"
        case .bool: "bool"
        case .integer: "int"
        case .float: "float"
        case .string: "str"
        case .list: "list"
        case .tuple: "tuple"
        case .mapping: "dict"
        case .namespace: "namespace"
        case .macro: "macro"
        case .loop: "loop"
        case .function: "function"
        case .method: "method"
        }
    }
}

/// The functions every template finds.
enum TemplateFunction: String, CaseIterable {
    case raiseException = "raise_exception"
    case strftimeNow = "strftime_now"
    case namespace
    case dict
    case range
}

/// The elements of a list or tuple.
struct TemplateSequence {
    let items: [TemplateValue]
    let depth: Int

    init(_ items: [TemplateValue]) throws(TemplateError) {
        var depth = 0
        for item in items { depth = max(depth, item.depth) }
        guard depth < TemplateValue.maxDepth else {
            throw TemplateError(.limit, "a value nested deeper than \(TemplateValue.maxDepth)")
        }
        self.items = items
        self.depth = depth + 1
    }
}

/// A Python dict: keys in order of insertion.
struct TemplateMapping {
    private enum Key: Hashable {
        case none
        case integer(Int)
        case float(Double)
        case string(String)
    }

    private(set) var entries: [(key: TemplateValue, value: TemplateValue)] = []
    private var positions: [Key: Int] = [:]
    private(set) var depth = 1

    var count: Int { entries.count }

    subscript(_ name: String) -> TemplateValue? { positions[.string(name)].map { entries[$0].value } }

    /// - Throws: kind `.type` for a key that Python could not hash.
    func value(for key: TemplateValue) throws(TemplateError) -> TemplateValue? {
        positions[try Self.key(key)].map { entries[$0].value }
    }

    mutating func set(_ key: TemplateValue, to value: TemplateValue) throws(TemplateError) {
        guard value.depth < TemplateValue.maxDepth else {
            throw TemplateError(.limit, "a value nested deeper than \(TemplateValue.maxDepth)")
        }
        depth = max(depth, value.depth + 1)
        let hashed = try Self.key(key)
        if let position = positions[hashed] {
            entries[position].value = value
        } else {
            positions[hashed] = entries.count
            entries.append((key, value))
        }
    }

    private static func key(_ value: TemplateValue) throws(TemplateError) -> Key {
        switch value {
        case .none: return .none
        case .bool, .integer: return .integer(value.integer ?? 0)
        case .float(let number): return Int(exactly: number).map(Key.integer) ?? .float(number)
        case .string(let text): return .string(text)
        default: throw TemplateError(.type, "a \(value.typeName) cannot be a key")
        }
    }
}
