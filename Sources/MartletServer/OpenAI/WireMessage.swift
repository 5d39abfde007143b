import MartletCore

/// A chat message as it came over the wire.
struct WireMessage: Sendable, Equatable {
    enum Part: Sendable, Equatable {
        case text(String)
        /// The URL: `data:`, `file:` or `http(s):`.
        case image(String)
    }

    var role: String
    var parts: [Part]
    /// `content` was a string (or null), not a list of parts; templates may tell the two apart.
    var isPlain: Bool
    var name: String?
    /// Thoughts of an earlier turn, as clients hand them back.
    var reasoning: String?

    var imageURLs: [String] {
        parts.compactMap { if case .image(let url) = $0 { url } else { nil } }
    }
}

extension WireMessage {
    static let roles = ["system", "developer", "user", "assistant", "tool", "function"]
    static let partTypes = ["text", "input_text", "output_text", "refusal", "image_url", "input_image"]

    /// The `messages` of a request.
    static func list(_ reader: FieldReader, limits: RequestLimits) throws(APIError) -> [WireMessage] {
        guard let items = try reader.array("messages") else { throw .missing("messages") }
        guard !items.isEmpty else { throw .badRequest("messages must not be empty.", param: "messages") }
        guard items.count <= limits.messages else {
            throw .badRequest(
                "messages may hold at most \(limits.messages) items, got \(items.count).", param: "messages")
        }
        var messages: [WireMessage] = []
        messages.reserveCapacity(items.count)
        for (index, item) in items.enumerated() {
            guard let object = item.object else { throw .wrongType("messages[\(index)]", expected: "an object") }
            messages.append(try WireMessage(FieldReader(object, path: "messages[\(index)]."), limits: limits))
        }
        let imageCount = messages.reduce(0) { $0 + $1.imageURLs.count }
        guard imageCount <= limits.images else { throw .tooManyImages(limit: limits.images) }
        return messages
    }

    private init(_ reader: FieldReader, limits: RequestLimits) throws(APIError) {
        try RefusedFields.check(reader, RefusedFields.message)
        guard let role = try reader.string("role") else { throw .missing(reader.name("role")) }
        guard Self.roles.contains(role) else {
            throw .badRequest(
                "\(reader.name("role")) must be one of \(Self.roles.joined(separator: ", ")), "
                    + "got '\(APIError.quoted(role))'.", param: reader.name("role"))
        }
        self.role = role
        name = try reader.string("name")
        let thoughts = try reader.string("reasoning_content")
        reasoning = try reader.string("reasoning") ?? thoughts
        switch reader.value("content") {
        case nil:
            isPlain = true
            parts = []
        case .string(let text):
            isPlain = true
            parts = [.text(text)]
        case .array(let items):
            isPlain = false
            guard items.count <= limits.parts else {
                throw .badRequest(
                    "\(reader.name("content")) may hold at most \(limits.parts) parts.", param: "messages")
            }
            parts = []
            for (index, item) in items.enumerated() {
                parts.append(try Self.part(item, name: "\(reader.name("content"))[\(index)]"))
            }
        default: throw .wrongType(reader.name("content"), expected: "a string or an array of parts")
        }
    }

    private static func part(_ value: JSONValue, name: String) throws(APIError) -> Part {
        if case .string(let text) = value { return .text(text) }
        guard let object = value.object else { throw .wrongType(name, expected: "an object") }
        let reader = FieldReader(object, path: name + ".")
        guard let type = try reader.string("type") else { throw .missing(reader.name("type")) }
        switch type {
        case "text", "input_text", "output_text":
            guard let text = try reader.string("text") else { throw .missing(reader.name("text")) }
            return .text(text)
        case "refusal":
            guard let text = try reader.string("refusal") else { throw .missing(reader.name("refusal")) }
            return .text(text)
        case "image_url", "input_image":
            return .image(try imageURL(reader))
        default: throw .unknownPart(type, supported: partTypes)
        }
    }

    /// `image_url` is an object with a `url`, or the URL itself. `detail` is read and has one meaning here: the
    /// model's own pixel limits decide.
    private static func imageURL(_ reader: FieldReader) throws(APIError) -> String {
        guard let value = reader.value("image_url") else { throw .missing(reader.name("image_url")) }
        if case .string(let url) = value { return url }
        guard let object = value.object else {
            throw .wrongType(reader.name("image_url"), expected: "an object or a string")
        }
        let inner = FieldReader(object, path: reader.name("image_url") + ".")
        guard let url = try inner.string("url") else { throw .missing(inner.name("url")) }
        if let detail = try inner.string("detail"), !["auto", "low", "high"].contains(detail) {
            throw .badRequest("\(inner.name("detail")) must be auto, low or high.", param: inner.name("detail"))
        }
        return url
    }
}
