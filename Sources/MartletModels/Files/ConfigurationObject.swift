import MartletCore

/// An object of a configuration file that knows its place in it, so that a bad value is named by file and key.
/// `null` is the same as absent. Unknown keys are nobody's business.
struct ConfigurationObject {
    let file: String
    /// Keys that lead here, each followed by a dot.
    let path: String
    let object: JSONObject

    /// The document's top. Throws if it is not an object.
    init(file: String, document: JSONValue) throws(ModelError) {
        guard let object = document.object else { throw ModelError(file: file, reason: "is not a JSON object") }
        self.init(file: file, path: "", object: object)
    }

    private init(file: String, path: String, object: JSONObject) {
        self.file = file
        self.path = path
        self.object = object
    }

    func fault(_ key: String, _ reason: String) -> ModelError {
        ModelError(file: file, field: path + key, reason: reason)
    }

    subscript(key: String) -> JSONValue? {
        guard let value = object[key], !value.isNull else { return nil }
        return value
    }

    /// The object under `key`, nil if there is none.
    func child(_ key: String) throws(ModelError) -> ConfigurationObject? {
        guard let value = self[key] else { return nil }
        guard let object = value.object else { throw fault(key, "is not an object") }
        return ConfigurationObject(file: file, path: "\(path)\(key).", object: object)
    }

    /// The object that `key` would lead to if it were there and empty.
    func empty(_ key: String) -> ConfigurationObject {
        ConfigurationObject(file: file, path: "\(path)\(key).", object: JSONObject())
    }

    /// An integer within `range`; a number without fraction counts. `missing` stands in for an absent key.
    func integer(_ key: String, _ range: ClosedRange<Int>, missing: Int) throws(ModelError) -> Int {
        try integer(key, range) ?? missing
    }

    func integer(_ key: String, _ range: ClosedRange<Int>) throws(ModelError) -> Int? {
        guard let value = self[key] else { return nil }
        guard let integer = value.integer else { throw fault(key, "is not an integer") }
        guard range.contains(integer) else {
            throw fault(key, "is \(integer); \(range.lowerBound) to \(range.upperBound) is possible")
        }
        return integer
    }

    /// A finite number within `range`; an integer counts.
    func number(_ key: String, _ range: ClosedRange<Double>) throws(ModelError) -> Double? {
        guard let value = self[key] else { return nil }
        guard let number = value.number else { throw fault(key, "is not a number") }
        guard range.contains(number) else {
            throw fault(key, "is \(number); \(range.lowerBound) to \(range.upperBound) is possible")
        }
        return number
    }

    func number(_ key: String, _ range: ClosedRange<Double>, missing: Double) throws(ModelError) -> Double {
        try number(key, range) ?? missing
    }

    func bool(_ key: String) throws(ModelError) -> Bool? {
        guard let value = self[key] else { return nil }
        guard let bool = value.bool else { throw fault(key, "is not true or false") }
        return bool
    }

    func string(_ key: String) throws(ModelError) -> String? {
        guard let value = self[key] else { return nil }
        guard let string = value.string else { throw fault(key, "is not a string") }
        return string
    }

    /// Token ids under `key`: one, a list, or none. Each lies below `vocabulary`.
    func tokens(_ key: String, vocabulary: Int) throws(ModelError) -> [TokenID] {
        guard let value = self[key] else { return [] }
        let items = value.array ?? [value]
        guard items.count <= 1024 else { throw fault(key, "lists \(items.count) tokens; at most 1024 are read") }
        var tokens: [TokenID] = []
        for item in items {
            guard let id = item.integer, id >= 0, id < vocabulary else {
                throw fault(key, "holds something that is not a token id below \(vocabulary)")
            }
            tokens.append(TokenID(id))
        }
        return tokens
    }

    /// Throws unless the value, if given, is one of `possible`.
    func check(_ key: String, isOneOf possible: [String]) throws(ModelError) {
        guard let value = try string(key), !possible.contains(value) else { return }
        throw fault(key, "is \"\(value)\"; \(possible.joined(separator: ", ")) is built")
    }
}
