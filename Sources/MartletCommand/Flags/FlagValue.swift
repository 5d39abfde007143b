import MartletCore

/// The form of a flag's value.
enum FlagKind: Sendable, Equatable {
    /// `--name` and `--no-name`.
    case toggle
    case text
    /// One or several words.
    case words
    /// One of these words; compared without case.
    case choice([String])
    /// With the suffixes of `CountNotation`.
    case count(ClosedRange<Int>)
    case number(ClosedRange<Double>)
    /// A JSON object; `a=1,b=2` and `--name.key value` are understood as well.
    case object
    /// A JSON array of strings, or words.
    case strings

    /// How `--help` writes the value.
    var placeholder: String {
        switch self {
        case .toggle: ""
        case .text: " TEXT"
        case .words: " NAME…"
        case .choice(let words): " " + words.joined(separator: "|")
        case .count: " N"
        case .number: " X"
        case .object: " JSON"
        case .strings: " JSON"
        }
    }
}

/// What a flag was given, read as its kind says.
enum FlagValue: Sendable, Equatable {
    case toggle(Bool)
    case text(String)
    case words([String])
    case count(Int)
    case number(Double)
    case object(JSONObject)

    // The parser gives every flag a value of its kind, so that the fall-backs never show.
    var isOn: Bool { if case .toggle(let value) = self { value } else { true } }
    var text: String { if case .text(let value) = self { value } else { "" } }
    var words: [String] { if case .words(let value) = self { value } else { [] } }
    var count: Int { if case .count(let value) = self { value } else { 0 } }
    var number: Double { if case .number(let value) = self { value } else { 0 } }
    var object: JSONObject { if case .object(let value) = self { value } else { JSONObject() } }

    /// As vLLM's log writes it: a Python literal.
    var pythonText: String {
        func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "\\'") + "'" }
        switch self {
        case .toggle(let value): return value ? "True" : "False"
        case .text(let value): return quoted(value)
        case .words(let values): return "[" + values.map(quoted).joined(separator: ", ") + "]"
        case .count(let value): return "\(value)"
        case .number(let value): return "\(value)"
        case .object(let value):
            var writer = JSONWriter()
            writer.value(.object(value))
            return writer.text
        }
    }
}

extension FlagKind {
    /// Reads the words that followed a flag; throws naming `flag`.
    func read(_ given: [String], flag: String) throws(UsageError) -> FlagValue {
        let first = given.first ?? ""
        switch self {
        case .toggle: return .toggle(first != "false")
        case .text: return .text(first)
        case .words: return .words(given)
        case .choice(let words):
            guard let word = words.first(where: { $0.lowercased() == first.lowercased() }) else {
                throw UsageError("--\(flag): '\(first)' is none of \(words.joined(separator: ", ")).")
            }
            return .text(word)
        case .count(let range):
            guard let count = CountNotation.read(first) else {
                throw UsageError("--\(flag): '\(first)' is not a whole number (1024, 1k = 1000, 1K = 1024, 2M, …).")
            }
            guard range.contains(count) else {
                throw Self.outside(flag, first, "\(range.lowerBound)", "\(range.upperBound)")
            }
            return .count(count)
        case .number(let range):
            guard let number = Double(first), number.isFinite else {
                throw UsageError("--\(flag): '\(first)' is not a number.")
            }
            guard range.contains(number) else {
                throw Self.outside(flag, first, "\(range.lowerBound)", "\(range.upperBound)")
            }
            return .number(number)
        case .object: return .object(try Self.object(first, flag: flag))
        case .strings: return .words(try Self.strings(given, flag: flag))
        }
    }

    private static func outside(_ flag: String, _ text: String, _ low: String, _ high: String) -> UsageError {
        UsageError("--\(flag): \(text) is not between \(low) and \(high).")
    }

    private static func object(_ text: String, flag: String) throws(UsageError) -> JSONObject {
        if text.hasPrefix("{") {
            guard let object = (try? JSONParser.parse(text))?.object else {
                throw UsageError("--\(flag): '\(text)' is not a JSON object.")
            }
            return object
        }
        // vLLM's older form: image=10,video=2
        var object = JSONObject()
        for pair in text.split(separator: ",") {
            let halves = pair.split(separator: "=", maxSplits: 1)
            guard halves.count == 2 else {
                throw UsageError("--\(flag): '\(text)' is neither a JSON object nor KEY=VALUE.")
            }
            let value = String(halves[1])
            object[String(halves[0])] = (try? JSONParser.parse(value)) ?? .string(value)
        }
        guard object.count > 0 else { throw UsageError("--\(flag): needs a JSON object.") }
        return object
    }

    private static func strings(_ given: [String], flag: String) throws(UsageError) -> [String] {
        guard given.count == 1, given[0].hasPrefix("[") else { return given }
        guard let items = (try? JSONParser.parse(given[0]))?.array else {
            throw UsageError("--\(flag): '\(given[0])' is not a JSON list.")
        }
        let texts = items.compactMap(\.string)
        guard texts.count == items.count else { throw UsageError("--\(flag): every item must be a string.") }
        return texts
    }
}
