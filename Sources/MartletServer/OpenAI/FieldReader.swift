import MartletCore

/// Reads the fields of one JSON object of a request and names the field in every complaint. `null` counts as absent,
/// as OpenAI's clients mean it. No value is coerced: "1" is no number and 1 is no boolean; 2.0 is the integer 2.
struct FieldReader {
    let object: JSONObject
    /// What stands before a key in messages: "" or `messages[2].`.
    let path: String

    init(_ object: JSONObject, path: String = "") {
        self.object = object
        self.path = path
    }

    func name(_ key: String) -> String { path + key }

    /// The value, unless it is absent or null.
    func value(_ key: String) -> JSONValue? {
        guard let value = object[key], !value.isNull else { return nil }
        return value
    }

    func string(_ key: String) throws(APIError) -> String? {
        guard let value = value(key) else { return nil }
        guard let text = value.string else { throw .wrongType(name(key), expected: "a string") }
        return text
    }

    func bool(_ key: String) throws(APIError) -> Bool? {
        guard let value = value(key) else { return nil }
        guard let flag = value.bool else { throw .wrongType(name(key), expected: "a boolean") }
        return flag
    }

    func array(_ key: String) throws(APIError) -> [JSONValue]? {
        guard let value = value(key) else { return nil }
        guard let items = value.array else { throw .wrongType(name(key), expected: "an array") }
        return items
    }

    func object(_ key: String) throws(APIError) -> JSONObject? {
        guard let value = value(key) else { return nil }
        guard let object = value.object else { throw .wrongType(name(key), expected: "an object") }
        return object
    }

    func integer(_ key: String) throws(APIError) -> Int? {
        guard let value = value(key) else { return nil }
        return try Self.integer(value, name: name(key))
    }

    /// `rule` completes "`key` must be …".
    func integer(_ key: String, in range: ClosedRange<Int>, rule: String) throws(APIError) -> Int? {
        guard let number = try integer(key) else { return nil }
        guard range.contains(number) else { throw .badRequest("\(key) must be \(rule), got \(number).", param: key) }
        return number
    }

    func number(_ key: String) throws(APIError) -> Double? {
        guard let value = value(key) else { return nil }
        // The parser has refused what is not finite.
        guard let number = value.number else { throw .wrongType(name(key), expected: "a number") }
        return number
    }

    /// `rule` completes "`key` must be …"; `isAllowed` says which values obey it.
    func number(_ key: String, rule: String, _ isAllowed: (Double) -> Bool) throws(APIError) -> Float? {
        guard let number = try number(key) else { return nil }
        guard isAllowed(number) else { throw .badRequest("\(key) must be \(rule), got \(number).", param: key) }
        return Float(number)
    }

    /// An array of at most `limit` token ids below `vocabularySize`.
    func tokens(_ key: String, limit: Int, vocabularySize: Int) throws(APIError) -> [TokenID]? {
        guard let items = try array(key) else { return nil }
        guard items.count <= limit else {
            throw .badRequest("\(key) may hold at most \(limit) token ids, got \(items.count).", param: key)
        }
        var tokens: [TokenID] = []
        tokens.reserveCapacity(items.count)
        for item in items {
            tokens.append(try Self.token(item, name: name(key), vocabularySize: vocabularySize))
        }
        return tokens
    }

    static func integer(_ value: JSONValue, name: String) throws(APIError) -> Int {
        guard let number = value.integer else { throw .wrongType(name, expected: "an integer") }
        return number
    }

    static func token(_ value: JSONValue, name: String, vocabularySize: Int) throws(APIError) -> TokenID {
        let number = try integer(value, name: name)
        guard (0..<vocabularySize).contains(number), let token = TokenID(exactly: number) else {
            throw .badRequest("\(name) must hold token ids in [0, \(vocabularySize)), got \(number).", param: name)
        }
        return token
    }
}
