/// One metadata value of a GGUF file. Integers of every width are one case, floats another: what a writer chose
/// says nothing about what a reader needs.
package enum GGUFValue: Sendable, Equatable {
    case bool(Bool)
    case integer(Int)
    /// Also an unsigned integer past `Int.max`.
    case number(Double)
    case string(String)
    case bools([Bool])
    case integers([Int])
    case numbers([Double])
    case strings([String])

    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var integer: Int? { if case .integer(let value) = self { value } else { nil } }
    package var string: String? { if case .string(let value) = self { value } else { nil } }
    package var strings: [String]? { if case .strings(let value) = self { value } else { nil } }
    package var integers: [Int]? { if case .integers(let value) = self { value } else { nil } }

    /// A float, or an integer as one.
    package var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// Floats, or integers as such.
    package var numbers: [Double]? {
        switch self {
        case .integers(let values): values.map(Double.init)
        case .numbers(let values): values
        default: nil
        }
    }
}
