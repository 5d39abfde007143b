import HTTPTypes
import MartletCore
import MartletEngine
import Testing

@testable import MartletServer

@Suite struct RouteTests {
    @Test func namesTheTrueModelBehindAnAlias() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let list = try await server.send(.get, "/v1/models").json
        #expect(list["object"] == .string("list"))
        #expect(list["data"]?.array?.map { $0["id"] } == [.string("autoglm-phone-9b"), .string("other/name")])
        #expect(list["data"]?.array?[0]["root"] == .string("/models/AutoGLM-Phone-9B"))
        #expect(list["data"]?.array?[0]["max_model_len"] == .integer(512))
        #expect(list["data"]?.array?[0]["permission"]?.array?.count == 1)
        for path in ["/v1/models/other/name", "/v1/models/other%2Fname"] {
            #expect(try await server.send(.get, path).json["id"] == .string("other/name"))
        }
        #expect(try await server.send(.get, "/v1/models/none").status == 404)
        #expect(try await server.send(.get, "/v1/models/").status == 404)
    }

    @Test func tokenizes() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let reply = try await server.post("/tokenize", "{\"prompt\":\"A B\",\"return_token_strs\":true}")
        #expect(
            reply.text
                == "{\"count\":3,\"max_model_len\":512,\"tokens\":[65,32,66],\"token_strs\":[\"A\",\"Ġ\",\"B\"]}")
        let chat = try await server.post("/tokenize", "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}")
        #expect(chat.json["tokens"] == .array(TestModel.tokens("<|user|>Hi<|assistant|>").map { .integer(Int64($0)) }))
        let back = try await server.post("/detokenize", "{\"tokens\":[65,258,66]}")
        #expect(back.text == "{\"prompt\":\"A<|user|>B\"}")
        #expect(try await server.post("/detokenize", "{\"tokens\":[99999]}").status == 400)
        #expect(try await server.post("/tokenize", "{}").status == 400)
    }

    @Test func answersProbes() async throws {
        let engine = ScriptedEngine(saying: "Y")
        let server = try ServerUnderTest(engine)
        for path in ["/health", "/ping", "/livez", "/readyz"] {
            #expect(try await server.send(.get, path).status == 200, "\(path)")
            #expect(try await server.send(.head, path).status == 200, "\(path)")
        }
        #expect(try await server.send(.get, "/version").text == "{\"version\":\"\(MartletVersion.number)\"}")
        server.application.readiness.become(.loading)
        #expect(try await server.send(.get, "/readyz").status == 503)
        #expect(try await server.send(.get, "/livez").status == 200)
        server.application.readiness.become(.draining)
        let refused = try await server.chat()
        #expect(refused.status == 503)
        #expect(refused.headers[.retryAfter] == "5")
        engine.set(.silent(seconds: 11))
        #expect(try await server.send(.get, "/livez").status == 200)
        for health in [EngineHealth.stalled(seconds: 61), .lost(seconds: 91), .dead(reason: "x")] {
            engine.set(health)
            #expect(try await server.send(.get, "/livez").status == 503)
            #expect(try await server.send(.get, "/health").status == 503)
        }
    }

    static let keyed: [(HTTPRequest.Method, String)] = [
        (.post, "/v1/chat/completions"), (.post, "/v1/completions"), (.get, "/v1/models"), (.get, "/v1/models/x"),
        (.post, "/tokenize"), (.post, "/detokenize"), (.get, "/version"), (.get, "/metrics"),
        // Spellings that a router might take for one of them.
        (.get, "//v1/models"), (.get, "/v1/../v1/models"), (.get, "/v1/%6dodels"), (.get, "/V1/models"),
        (.get, "http://host/v1/models"), (.get, "/health/../v1/models"), (.get, "/health/x"), (.get, "/nothing"),
        (.get, ""),
    ]

    /// Deny by default: whatever is not on the open list wants a key, whether it exists or not.
    @Test(arguments: keyed) func asksForAKey(_ method: HTTPRequest.Method, _ path: String) async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y")) { $0.apiKeys = ["secret", "other"] }
        for key in [
            nil, "Bearer wrong", "Bearer secret1", "Bearer secre", "Basic secret", "secret", "Bearer ",
            "Bearer  secret",
        ] {
            let headers = key.map { [("Authorization", $0)] } ?? []
            let reply = try await server.send(method, path, headers: headers)
            #expect(reply.status == 401, "\(path) \(key ?? "none")")
            #expect(reply.headers[.wwwAuthenticate] == "Bearer")
            #expect(reply.error["code"] == .integer(401))
        }
        for key in ["Bearer secret", "bearer other"] {
            #expect(try await server.send(method, path, headers: [("Authorization", key)]).status != 401)
        }
    }

    @Test(arguments: ["/health", "/ping", "/livez", "/readyz"]) func probesWithoutAKey(_ path: String) async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y")) { $0.apiKeys = ["secret"] }
        #expect(try await server.send(.get, path).status == 200)
        #expect(try await server.send(.get, path + "?x=/v1/models").status == 200)
    }

    @Test func echoesOnlySaneRequestIDs() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        #expect(try await server.chat(headers: [("X-Request-Id", "abc-1")]).headers[.requestID] == "abc-1")
        let odd = try await server.chat(headers: [("X-Request-Id", "a b;c")]).headers[.requestID]
        #expect(odd?.utf8.count == 32)
    }

    @Test func allowsOnlyNamedOrigins() async throws {
        let closed = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let asking = [("Origin", "http://a"), ("Access-Control-Request-Method", "POST")]
        #expect(try await closed.send(.options, "/v1/chat/completions", headers: asking).status == 405)
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y")) {
            $0.cors.origins = ["http://a"]
            $0.apiKeys = ["secret"]
        }
        let preflight = try await server.send(.options, "/v1/chat/completions", headers: asking)
        #expect(preflight.status == 200)
        #expect(preflight.headers[.accessControlAllowOrigin] == "http://a")
        let other = try await server.send(
            .options, "/v1/chat/completions", headers: [("Origin", "http://b"), asking[1]])
        #expect(other.status == 401)
        #expect(other.headers[.accessControlAllowOrigin] == nil)
        let called = try await server.chat(headers: [("Origin", "http://a"), ("Authorization", "Bearer secret")])
        #expect(called.status == 200)
        #expect(called.headers[.accessControlAllowOrigin] == "http://a")
    }
}
