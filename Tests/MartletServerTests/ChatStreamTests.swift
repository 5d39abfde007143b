import HTTPTypes
import MartletCore
import MartletEngine
import Testing

@testable import MartletServer

/// Byte-exact transcripts of the event stream (API.md 2.6).
@Suite struct ChatStreamTests {
    /// Every chunk begins with this.
    static let head =
        "data: {\"id\":\"chatcmpl-t\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,"
        + "\"model\":\"autoglm-phone-9b\",\"system_fingerprint\":\"martlet-0.1.0\","

    static func choice(_ index: Int, _ delta: String, _ finish: String = "\"finish_reason\":null") -> String {
        "\(head)\"choices\":[{\"index\":\(index),\"delta\":{\(delta)},\"logprobs\":null,\(finish)}]"
    }

    static let opening = choice(0, "\"role\":\"assistant\",\"content\":\"\"")
    static let stop = "\"finish_reason\":\"stop\",\"stop_reason\":null"

    @Test func streamsRoleTextAndFinish() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Yo"))
        let reply = try await server.chat("\"stream\":true,\"request_id\":\"t\"")
        #expect(reply.status == 200)
        #expect(reply.headers[.contentType] == "text/event-stream; charset=utf-8")
        #expect(
            reply.text == [
                Self.opening + "}\n\n" + Self.choice(0, "\"content\":\"Y\"") + "}",
                Self.choice(0, "\"content\":\"o\"") + "}", Self.choice(0, "", Self.stop) + "}", "data: [DONE]", "",
            ].joined(separator: "\n\n"))
    }

    @Test func sendsUsageWhenAsked() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y", cached: 3))
        let reply = try await server.chat(
            "\"stream\":true,\"request_id\":\"t\",\"stream_options\":{\"include_usage\":true}")
        let prompt = TestModel.tokens("<|user|>Hi<|assistant|>").count
        let usage =
            "{\"prompt_tokens\":\(prompt),\"total_tokens\":\(prompt + 2),\"completion_tokens\":2,"
            + "\"prompt_tokens_details\":{\"cached_tokens\":3,\"multimodal_tokens\":0}}"
        #expect(
            reply.text == [
                Self.opening + ",\"usage\":null}", Self.choice(0, "\"content\":\"Y\"") + ",\"usage\":null}",
                Self.choice(0, "", Self.stop) + ",\"usage\":null}",
                Self.head + "\"choices\":[],\"usage\":\(usage)}", "data: [DONE]", "",
            ].joined(separator: "\n\n"))
    }

    @Test func sendsUsageInEveryChunk() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let reply = try await server.chat(
            "\"stream\":true,\"request_id\":\"t\",\"stream_options\":{\"continuous_usage_stats\":true}")
        let chunks = reply.text.split(separator: "\n\n").dropLast()
        let counts = try chunks.map { chunk in
            try JSONParser.parse(String(chunk.dropFirst(6)))["usage"]?["completion_tokens"]?.integer
        }
        #expect(counts == [1, 1, 2])
    }

    /// A scalar of three bytes is three tokens here; nothing half is ever sent.
    @Test func holdsBackHalfACharacter() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "你"))
        let reply = try await server.chat("\"stream\":true,\"request_id\":\"t\"")
        #expect(
            reply.text == [
                Self.opening + "}", Self.choice(0, "\"content\":\"你\"") + "}", Self.choice(0, "", Self.stop) + "}",
                "data: [DONE]", "",
            ].joined(separator: "\n\n"))
    }

    @Test func interleavesChoices() async throws {
        let engine = ScriptedEngine { request throws(EngineError) in
            let (a, b) = (TestModel.tokens("a")[0], TestModel.tokens("b")[0])
            return [
                .event(.started(promptTokens: 3, cachedTokens: 0)),
                .event(.tokens(choice: 1, [SampledToken(token: b)])),
                .event(.tokens(choice: 0, [SampledToken(token: a)])),
                .event(.finished(choice: 1, reason: .length, stopToken: nil, message: nil)),
                .event(.finished(choice: 0, reason: .stop, stopToken: TestModel.endOfText, message: nil)),
            ]
        }
        let server = try ServerUnderTest(engine)
        let reply = try await server.chat("\"stream\":true,\"request_id\":\"t\",\"n\":2")
        let role = "\"role\":\"assistant\",\"content\":\"\""
        #expect(
            reply.text == [
                Self.choice(1, role) + "}", Self.choice(1, "\"content\":\"b\"") + "}", Self.choice(0, role) + "}",
                Self.choice(0, "\"content\":\"a\"") + "}",
                Self.choice(1, "", "\"finish_reason\":\"length\",\"stop_reason\":null") + "}",
                Self.choice(0, "", Self.stop) + "}", "data: [DONE]", "",
            ].joined(separator: "\n\n"))
        #expect(engine.requests[0].sampling.choiceCount == 2)
    }

    @Test func keepsQuietStreamsOpen() async throws {
        let engine = ScriptedEngine { request throws(EngineError) in
            var acts = ScriptedEngine.talk("Y", request: request)
            acts.insert(.wait(.milliseconds(130)), at: 1)
            return acts
        }
        let server = try ServerUnderTest(engine) { $0.keepAliveSeconds = 0.05 }
        let reply = try await server.chat("\"stream\":true,\"request_id\":\"t\"")
        #expect(reply.text.hasPrefix(": keep-alive\n\n"))
        #expect(reply.text.hasSuffix("data: [DONE]\n\n"))
        #expect(reply.text.contains(Self.opening))
    }

    @Test func endsAtAStopString() async throws {
        let engine = ScriptedEngine(saying: "one STOP two")
        let server = try ServerUnderTest(engine)
        let reply = try await server.chat("\"stop\":[\"STOP\"]")
        let choice = reply.json["choices"]?.array?.first
        #expect(choice?["message"]?["content"] == .string("one "))
        #expect(choice?["finish_reason"] == .string("stop"))
        #expect(choice?["stop_reason"] == .string("STOP"))
        #expect(reply.json["usage"]?["completion_tokens"] == .integer(8))
        #expect(await engine.sawCancels(1))
    }

    @Test func failsAsAnEventOnceStarted() async throws {
        let engine = ScriptedEngine { request throws(EngineError) in
            var acts = ScriptedEngine.talk("Yo", request: request).dropLast(2)
            acts.append(.event(.finished(choice: 0, reason: .error, stopToken: nil, message: "The step failed.")))
            return Array(acts)
        }
        let server = try ServerUnderTest(engine)
        let reply = try await server.chat("\"stream\":true,\"request_id\":\"t\"")
        #expect(reply.status == 200)
        #expect(
            reply.text == [
                Self.opening + "}", Self.choice(0, "\"content\":\"Y\"") + "}",
                "data: {\"error\":{\"message\":\"The step failed.\",\"type\":\"InternalServerError\",\"param\":null,"
                    + "\"code\":500}}", "data: [DONE]", "",
            ].joined(separator: "\n\n"))
    }

    /// What never ran may be sent again; of the engine's words only the first sentence goes out.
    @Test func asksToRetryWhatNeverRan() async throws {
        let engine = ScriptedEngine { _ throws(EngineError) in
            let message = "The request waited 60 s: Scheduler(0x1234)"
            return [.event(.finished(choice: 0, reason: .error, stopToken: nil, message: message))]
        }
        for fields in ["", "\"stream\":true"] {
            let reply = try await ServerUnderTest(engine).chat(fields)
            #expect(reply.status == 503)
            #expect(reply.headers[.retryAfter] == "1")
            #expect(reply.error["message"] == .string("The request waited 60 s."))
        }
    }

    /// Before the first token the status can still say it (D15).
    @Test func failsAsAStatusBeforeTheFirstToken() async throws {
        let engine = ScriptedEngine { _ throws(EngineError) in
            [
                .event(.started(promptTokens: 3, cachedTokens: 0)),
                .event(.finished(choice: 0, reason: .error, stopToken: nil, message: "The step failed.")),
            ]
        }
        let server = try ServerUnderTest(engine)
        let reply = try await server.chat("\"stream\":true")
        #expect(reply.status == 500)
        #expect(reply.error["message"] == .string("The step failed."))
    }
}
