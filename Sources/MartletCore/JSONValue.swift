/// A JSON document in memory. Objects keep the order of their keys, as templates and tools print them.
package indirect enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    /// Written without fraction or exponent and within Int64.
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    package subscript(key: String) -> JSONValue? {
        if case .object(let object) = self { object[key] } else { nil }
    }

    package var string: String? { if case .string(let value) = self { value } else { nil } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    package var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
    package var isNull: Bool { self == .null }

    /// Integers as they are; a number only if it has no fraction and fits.
    package var integer: Int? {
        switch self {
        case .integer(let value): Int(value)
        case .number(let value): Int(exactly: value)
        default: nil
        }
    }

    package var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
}

/// An ordered dictionary with unique keys.
package struct JSONObject: Sendable, Equatable {
    package private(set) var entries: [(key: String, value: JSONValue)] = []
    private var positions: [String: Int] = [:]

    package init() {}
    package init(_ pairs: [(String, JSONValue)]) { for (key, value) in pairs { self[key] = value } }

    package var count: Int { entries.count }
    package var keys: [String] { entries.map(\.key) }

    package subscript(key: String) -> JSONValue? {
        get { positions[key].map { entries[$0].value } }
        set {
            switch (positions[key], newValue) {
            case (let position?, let value?): entries[position].value = value
            case (nil, let value?):
                positions[key] = entries.count
                entries.append((key, value))
            case (let position?, nil):
                entries.remove(at: position)
                positions = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.key, $0) })
            case (nil, nil): break
            }
        }
    }

    /// Equal keys with equal values, in any order.
    package static func == (left: Self, right: Self) -> Bool {
        left.count == right.count && left.entries.allSatisfy { right[$0.key] == $0.value }
    }
}
