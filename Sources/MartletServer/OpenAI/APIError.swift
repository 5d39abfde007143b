import MartletCore
import MartletEngine

/// A failure as a client sees it: the status, and OpenAI's error body. Everything that can go wrong with a request
/// becomes one of these, here and nowhere else (the table of API.md 2.5).
///
/// Messages come from this file's catalogue, are at most `maxMessageBytes` long, and quote of the request at most a
/// clipped name: an error body is no place to reflect input or to show the inside of the server.
package struct APIError: Error, Sendable, Equatable {
    package static let maxMessageBytes = 600
    /// Of anything quoted from a request.
    package static let maxQuotedCharacters = 64

    /// HTTP status; also the `code` of the body.
    package let status: Int
    package let type: String
    package let message: String
    /// The field at fault, as the client wrote it.
    package let param: String?
    /// Sent as `Retry-After` when set.
    package let retryAfterSeconds: Int?

    package init(status: Int, type: String, message: String, param: String? = nil, retryAfterSeconds: Int? = nil) {
        self.status = status
        self.type = type
        self.message = Self.clip(message, bytes: Self.maxMessageBytes)
        self.param = param
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// `{"error":{"message":…,"type":…,"param":…,"code":…}}`
    package func write(into writer: inout JSONWriter) {
        writer.raw("{\"error\":{\"message\":")
        writer.string(message)
        writer.raw(",\"type\":")
        writer.string(type)
        writer.raw(",\"param\":")
        if let param { writer.string(param) } else { writer.raw("null") }
        writer.raw(",\"code\":\(status)}}")
    }

    /// At most `maxQuotedCharacters` of what a client sent, without control characters.
    package static func quoted(_ text: String) -> String {
        let clipped = text.unicodeScalars.prefix(maxQuotedCharacters)
        let clean = clipped.map { $0.properties.generalCategory == .control ? " " : Character($0) }
        return String(clean) + (clipped.endIndex == text.unicodeScalars.endIndex ? "" : "…")
    }

    private static func clip(_ text: String, bytes: Int) -> String {
        guard text.utf8.count > bytes else { return text }
        var end = text.startIndex
        var used = 0
        while end < text.endIndex {
            used += text[end].utf8.count
            if used > bytes - 3 { break }
            end = text.index(after: end)
        }
        return text[..<end] + "…"
    }
}

// MARK: - The request

extension APIError {
    /// A value that is well-formed but not allowed.
    package static func badRequest(_ message: String, param: String? = nil) -> APIError {
        APIError(status: 400, type: "BadRequestError", message: message, param: param)
    }

    /// A field of the wrong JSON type; `field` as in `messages[0].content`.
    package static func wrongType(_ field: String, expected: String) -> APIError {
        let quoted = quoted(field)
        let message =
            "1 validation error: {'type': 'type_error', 'loc': 'body.\(quoted)', 'msg': 'expected \(expected)'}"
        return APIError(status: 400, type: "Bad Request", message: message, param: "body.\(quoted)")
    }

    package static func missing(_ field: String) -> APIError {
        let message = "1 validation error: {'type': 'missing', 'loc': 'body.\(field)', 'msg': 'Field required'}"
        return APIError(status: 400, type: "Bad Request", message: message, param: "body.\(field)")
    }

    package static func invalidJSON(_ error: JSONError) -> APIError {
        let message = "1 validation error: {'type': 'json_invalid', 'loc': 'body.\(error.offset)', "
            + "'msg': 'JSON decode error: \(error.reason)'}"
        return APIError(status: 400, type: "Bad Request", message: message, param: "body.\(error.offset)")
    }

    package static let notJSON = APIError(
        status: 400, type: "Bad Request", message: "Unsupported Media Type: Only 'application/json' is allowed")

    /// A field that this server knows and does not carry out: said, never ignored (D17).
    package static func notSupported(_ field: String, hint: String = "leave it out") -> APIError {
        badRequest("`\(field)` is not supported by this server: \(hint).", param: field)
    }

    package static let streamOptionsWithoutStream = badRequest(
        "Stream options can only be defined when `stream=True`.", param: "stream_options")

    package static func bodyTooLarge(limit: Int) -> APIError {
        APIError(
            status: 413, type: "RequestEntityTooLarge",
            message: "The request body exceeds the limit of \(limit) bytes.")
    }

    package static func modelNotFound(_ name: String, served: [String]) -> APIError {
        let aliases = served.prefix(8).joined(separator: ", ")
        return APIError(
            status: 404, type: "NotFoundError",
            message: "The model `\(quoted(name))` does not exist. Valid aliases: \(aliases).", param: "model")
    }

    package static func promptTooLong(tokens: Int, limit: Int) -> APIError {
        badRequest(
            """
            This model's maximum context length is \(limit) tokens. However, your prompt contains \(tokens) input \
            tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input \
            prompt. (parameter=input_tokens, value=\(tokens))
            """, param: "input_tokens")
    }

    package static let promptEmpty = badRequest("The prompt is empty.", param: "prompt")

    package static func unknownPart(_ type: String, supported: [String]) -> APIError {
        let supported = supported.joined(separator: ", ")
        return badRequest(
            "Unsupported chat content part type: '\(quoted(type))'. Supported types: \(supported).", param: "messages")
    }
}

// MARK: - Media

extension APIError {
    package static func tooManyImages(limit: Int) -> APIError {
        badRequest(
            """
            At most \(limit) image(s) may be provided in one prompt. Set `--limit-mm-per-prompt` to increase this limit.
            """, param: "image")
    }

    package static func notMultimodal(_ model: String) -> APIError {
        badRequest("\(model) is not a multimodal model", param: "messages")
    }

    /// `reason` is one of our own sentences, never text out of the file.
    package static func badImage(_ reason: String) -> APIError {
        badRequest("Failed to load image: \(reason)", param: "image")
    }

    package static let dataURLNotBase64 = APIError(
        status: 501, type: "NotImplementedError", message: "Only base64 data URLs are supported for now.",
        param: "image_url")

    package static let localMediaOff = badRequest(
        "Cannot load local files without `--allowed-local-media-path`.", param: "image_url")

    package static let outsideLocalMedia = badRequest(
        "The file path is not a regular file inside `--allowed-local-media-path`.", param: "image_url")

    package static let remoteMediaOff = badRequest(
        "Fetching media by URL is off on this server: send the image as a data: URL.", param: "image_url")

    package static func unknownScheme() -> APIError {
        badRequest("The URL must be either a HTTP, data or file URL.", param: "image_url")
    }
}

// MARK: - The server

extension APIError {
    package static let unauthorized = APIError(status: 401, type: "AuthenticationError", message: "Unauthorized")

    package static func notFound(_ path: String) -> APIError {
        APIError(status: 404, type: "NotFoundError", message: "Not Found: \(quoted(path))")
    }

    package static func methodNotAllowed(_ method: String, allowed: [String]) -> APIError {
        APIError(
            status: 405, type: "MethodNotAllowed",
            message: "Method Not Allowed: use \(allowed.joined(separator: ", ")).")
    }

    package static let busy = APIError(
        status: 503, type: "ServiceUnavailableError",
        message: "The engine is currently busy and cannot accept new requests. Please retry later.",
        retryAfterSeconds: 1)

    package static let draining = APIError(
        status: 503, type: "ServiceUnavailableError",
        message: "The server is shutting down and takes no new requests.", retryAfterSeconds: 5)

    package static let notReady = APIError(
        status: 503, type: "ServiceUnavailableError", message: "The model is still loading.", retryAfterSeconds: 5)

    package static let engineDead = APIError(
        status: 500, type: "InternalServerError", message: "The engine has stopped. See the server's log.")

    package static let internalError = APIError(
        status: 500, type: "InternalServerError", message: "Internal server error. See the server's log.")

    /// A generation that the engine gave up. Of its message the client gets the sentence before the first colon:
    /// what follows is the inside of the engine, for the log.
    ///
    /// - Parameter wasAdmitted: false = nothing was computed yet, so the same request may be sent again.
    package static func generationFailed(_ message: String?, wasAdmitted: Bool = true) -> APIError {
        var sentence = String((message ?? "The generation failed.").prefix { $0 != ":" })
        if !sentence.hasSuffix(".") { sentence += "." }
        guard !wasAdmitted else { return APIError(status: 500, type: "InternalServerError", message: sentence) }
        return APIError(status: 503, type: "ServiceUnavailableError", message: sentence, retryAfterSeconds: 1)
    }

    package init(_ error: EngineError) {
        self =
            switch error {
            case .promptTooLong(let tokens, let limit): .promptTooLong(tokens: tokens, limit: limit)
            case .promptEmpty: .promptEmpty
            case .invalidToken(let token):
                .badRequest("Token id \(token) is outside the vocabulary.", param: "prompt")
            case .imageTooLarge(let tokens, let limit):
                .badRequest("An image of \(tokens) tokens exceeds the limit of \(limit).", param: "image")
            case .exceedsCache(let tokens, let limit):
                .badRequest("\(tokens) tokens can never fit the KV cache of \(limit) tokens.", param: "input_tokens")
            case .queueFull: .busy
            case .draining: .draining
            case .dead: .engineDead
            }
    }
}
