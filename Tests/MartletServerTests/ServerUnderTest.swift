import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import MartletCore
import MartletEngine
import NIOCore

@testable import MartletServer

/// A server over a scripted engine, and short ways to talk to it.
struct ServerUnderTest: Sendable {
    let engine: ScriptedEngine
    let application: MartletApplication

    init(
        _ engine: ScriptedEngine, model: ServedModel? = nil, fetcher: MediaFetcher? = nil,
        configure: (inout ServerConfiguration) -> Void = { _ in }
    ) throws {
        self.engine = engine
        var configuration = ServerConfiguration()
        configuration.host = "127.0.0.1"
        configuration.port = 0
        configuration.statisticsSeconds = nil
        configure(&configuration)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        application = MartletApplication(
            model: try model ?? TestModel.served(), engine: engine, configuration: configuration, logger: logger,
            accessLogger: nil, now: { 1_760_000_000 }, fetcher: fetcher ?? MediaFetcher(configuration))
        application.readiness.become(.ready)
    }

    struct Reply: Sendable {
        let status: Int
        let headers: HTTPFields
        let text: String

        var json: JSONValue { (try? JSONParser.parse(text)) ?? .null }
        var error: JSONValue { json["error"] ?? .null }
    }

    /// One request, straight to the responder.
    func send(
        _ method: HTTPRequest.Method, _ path: String, body: String? = nil, headers: [(String, String)] = []
    ) async throws -> Reply {
        var fields: HTTPFields = [:]
        if body != nil { fields[.contentType] = "application/json" }
        for (name, value) in headers { fields[HTTPField.Name(name)!] = value }
        return try await application.application().test(.router) { [fields] client in
            try await client.execute(
                uri: path, method: method, headers: fields, body: body.map { ByteBuffer(string: $0) }
            ) { response in
                Reply(status: response.status.code, headers: response.headers, text: String(buffer: response.body))
            }
        }
    }

    func post(_ path: String, _ body: String, headers: [(String, String)] = []) async throws -> Reply {
        try await send(.post, path, body: body, headers: headers)
    }

    func chat(_ fields: String = "", headers: [(String, String)] = []) async throws -> Reply {
        let more = fields.isEmpty ? "" : ",\(fields)"
        return try await post(
            "/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]\(more)}", headers: headers)
    }

    func complete(_ fields: String = "") async throws -> Reply {
        let more = fields.isEmpty ? "" : ",\(fields)"
        return try await post("/v1/completions", "{\"prompt\":\"ab\"\(more)}")
    }
}
