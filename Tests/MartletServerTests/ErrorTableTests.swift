import HTTPTypes
import MartletCore
import MartletEngine
import Testing

@testable import MartletServer

/// Every row of API.md 2.5: status, type, param and message.
@Suite struct ErrorTableTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let body: String
        let status: Int
        let type: String
        let param: String?
        let message: String
        var testDescription: String { name }

        /// A chat request with one user turn and these fields.
        static func chat(
            _ name: String, _ fields: String, _ status: Int, _ type: String, _ param: String?, _ message: String
        ) -> Row {
            let body = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\(fields)}"
            return Row(name: name, body: body, status: status, type: type, param: param, message: message)
        }

        /// A chat request with one user turn of these parts.
        static func parts(
            _ name: String, _ parts: String, _ status: Int, _ type: String, _ param: String?, _ message: String
        ) -> Row {
            let body = "{\"messages\":[{\"role\":\"user\",\"content\":[\(parts)]}]}"
            return Row(name: name, body: body, status: status, type: type, param: param, message: message)
        }

        static func image(
            _ name: String, _ url: String, _ status: Int, _ type: String, _ param: String?, _ message: String
        ) -> Row {
            parts(name, "{\"type\":\"image_url\",\"image_url\":{\"url\":\"\(url)\"}}", status, type, param, message)
        }
    }

    static let bad = "BadRequestError"
    static let rows: [Row] = [
        .chat(
            "unknown model", "\"model\":\"x\"", 404, "NotFoundError", "model",
            "The model `x` does not exist. Valid aliases: autoglm-phone-9b, other/name."),
        Row(
            name: "prompt too long",
            body: "{\"messages\":[{\"role\":\"user\",\"content\":\"\(String(repeating: "a", count: 600))\"}]}",
            status: 400, type: bad, param: "input_tokens",
            message: """
                This model's maximum context length is 512 tokens. However, your prompt contains 602 input tokens, \
                which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. \
                (parameter=input_tokens, value=602)
                """),
        Row(
            name: "bad JSON", body: "{\"messages\":[", status: 400, type: "Bad Request", param: "body.13",
            message: "1 validation error: {'type': 'json_invalid', 'loc': 'body.13', 'msg': "
                + "'JSON decode error: unexpected end'}"),
        .chat(
            "wrong type", "\"max_tokens\":\"5\"", 400, "Bad Request", "body.max_tokens",
            "1 validation error: {'type': 'type_error', 'loc': 'body.max_tokens', 'msg': 'expected an integer'}"),
        Row(
            name: "missing field", body: "{}", status: 400, type: "Bad Request", param: "body.messages",
            message: "1 validation error: {'type': 'missing', 'loc': 'body.messages', 'msg': 'Field required'}"),
        .chat("temperature", "\"temperature\":3", 400, bad, "temperature", "temperature must be in [0, 2], got 3.0."),
        .chat("top_p", "\"top_p\":0", 400, bad, "top_p", "top_p must be in (0, 1], got 0.0."),
        .chat("top_k", "\"top_k\":-2", 400, bad, "top_k", "top_k must be 0 (disable), or at least 1, got -2."),
        .chat(
            "penalty", "\"presence_penalty\":2.5", 400, bad, "presence_penalty",
            "presence_penalty must be in [-2, 2], got 2.5."),
        .chat("max_tokens", "\"max_tokens\":0", 400, bad, "max_tokens", "max_tokens must be at least 1, got 0."),
        .chat(
            "n greedy", "\"n\":2,\"temperature\":0", 400, bad, "n", "n must be 1 when using greedy sampling, got 2."),
        .chat(
            "stream options", "\"stream_options\":{\"include_usage\":true}", 400, bad, "stream_options",
            "Stream options can only be defined when `stream=True`."),
        .parts(
            "unknown part", "{\"type\":\"hologram\"}", 400, bad, "messages",
            "Unsupported chat content part type: 'hologram'. Supported types: text, input_text, output_text, refusal, "
                + "image_url, input_image."),
        .parts(
            "too many images",
            [String](repeating: "{\"type\":\"image_url\",\"image_url\":\"data:,\"}", count: 17)
                .joined(separator: ","), 400, bad, "image",
            "At most 16 image(s) may be provided in one prompt. Set `--limit-mm-per-prompt` to increase this limit."),
        .image(
            "broken image", "data:image/png;base64,aGVsbG8gd29ybGQ=", 400, bad, "image",
            "Failed to load image: unsupported image format: unknown; send PNG, JPEG or WebP"),
        .image(
            "bad base64", "data:image/png;base64,a$bc", 400, bad, "image",
            "Failed to load image: invalid base64 in the data URL"),
        .image(
            "too many pixels", TestPicture.claim(12000, 12000), 400, bad, "image",
            "Image dimensions 12000x12000 exceed the maximum of 40000000 pixels"),
        .image(
            "data URL without base64", "data:image/png,abc", 501, "NotImplementedError", "image_url",
            "Only base64 data URLs are supported for now."),
        .image(
            "file URL", "file:///etc/passwd", 400, bad, "image_url",
            "Cannot load local files without `--allowed-local-media-path`."),
        .image(
            "http URL", "http://169.254.169.254/x.png", 400, bad, "image_url",
            "Fetching media by URL is off on this server: send the image as a data: URL."),
        .image(
            "other scheme", "gopher://x", 400, bad, "image_url", "The URL must be either a HTTP, data or file URL."),
        .chat(
            "refused field", "\"tools\":[{\"type\":\"function\"}]", 400, bad, "tools",
            "`tools` is not supported by this server: leave it out."),
    ]

    @Test(arguments: rows) func answersAsTheTableSays(_ row: Row) async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let reply = try await server.post("/v1/chat/completions", row.body)
        #expect(reply.status == row.status)
        #expect(reply.error["message"] == .string(row.message))
        #expect(reply.error["type"] == .string(row.type))
        #expect(reply.error["param"] == row.param.map(JSONValue.string) ?? .null)
        #expect(reply.error["code"] == .integer(Int64(row.status)))
        #expect(reply.json.object?.keys == ["error"])
        #expect(server.engine.requests.isEmpty)
    }

    @Test func takesNoModelForTheServedOne() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let reply = try await server.chat()
        #expect(reply.status == 200)
        #expect(reply.json["model"] == .string("autoglm-phone-9b"))
        #expect(try await server.chat("\"model\":\"other/name\"").json["model"] == .string("autoglm-phone-9b"))
    }

    /// Open-AutoGLM sends 3000 whatever the context is: both rows of the table clamp here.
    @Test(arguments: [3000, 511, Int.max]) func clampsMaxTokens(_ asked: Int) async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        #expect(try await server.chat("\"max_tokens\":\(asked)").status == 200)
        let prompt = TestModel.tokens("<|user|>Hi<|assistant|>").count
        #expect(server.engine.requests[0].sampling.maxTokens == 512 - prompt)
    }

    @Test func refusesOtherContentTypes() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let reply = try await server.send(
            .post, "/v1/chat/completions", headers: [("Content-Type", "text/plain"), ("Content-Length", "2")])
        #expect(reply.status == 400)
        #expect(reply.error["message"] == .string("Unsupported Media Type: Only 'application/json' is allowed"))
    }

    @Test func refusesImagesOfATextModel() async throws {
        let server = try ServerUnderTest(
            ScriptedEngine(saying: "Y"), model: TestModel.served(hasImages: false))
        let reply = try await server.post(
            "/v1/chat/completions",
            """
            {"messages":[{"role":"user","content":[
            {"type":"image_url","image_url":{"url":"\(TestPicture.url(56, 56))"}}]}]}
            """)
        #expect(reply.status == 400)
        #expect(reply.error["message"] == .string("autoglm-phone-9b is not a multimodal model"))
    }

    static let engineErrors: [(EngineError, Int, String, String?)] = [
        (.queueFull, 503, "ServiceUnavailableError", "1"), (.draining, 503, "ServiceUnavailableError", "5"),
        (.dead(reason: "secret"), 500, "InternalServerError", nil), (.promptEmpty, 400, bad, nil),
        (.promptTooLong(tokens: 9, limit: 8), 400, bad, nil), (.invalidToken(7), 400, bad, nil),
        (.imageTooLarge(tokens: 9, limit: 8), 400, bad, nil), (.exceedsCache(tokens: 9, limit: 8), 400, bad, nil),
    ]

    @Test(arguments: engineErrors) func mapsTheEnginesRefusals(
        _ error: EngineError, _ status: Int, _ type: String, _ retry: String?
    ) async throws {
        let engine = ScriptedEngine { _ throws(EngineError) in throw error }
        for fields in ["", "\"stream\":true"] {
            let reply = try await ServerUnderTest(engine).chat(fields)
            #expect(reply.status == status)
            #expect(reply.error["type"] == .string(type))
            #expect(reply.headers[.retryAfter] == retry)
            #expect(!reply.text.contains("secret"))
        }
    }

    @Test func answersUnknownPathsAndMethods() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let missing = try await server.send(.get, "/v1/nothing")
        #expect(missing.status == 404)
        #expect(missing.error["type"] == .string("NotFoundError"))
        let wrong = try await server.send(.get, "/v1/chat/completions")
        #expect(wrong.status == 405)
        #expect(wrong.headers[.allow] == "POST")
        #expect(wrong.error["type"] == .string("MethodNotAllowed"))
    }

    @Test func countsTheBodyWhileItStreams() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y")) { $0.limits.bodyBytes = 1000 }
        let body = "{\"messages\":\"\(String(repeating: "a", count: 1001))\"}"
        let reply = try await server.post("/v1/chat/completions", body)
        #expect(reply.status == 413)
        #expect(reply.error["code"] == .integer(413))
    }

    @Test func reflectsNoLongInput() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let long = String(repeating: "x", count: 100_000)
        for fields in ["\"model\":\"\(long)\"", "\"logit_bias\":{\"\(long)\":1}", "\"request_id\":\"\(long)\""] {
            let reply = try await server.chat(fields)
            #expect((400...404).contains(reply.status))
            #expect(reply.text.utf8.count < 1000)
        }
    }
}
