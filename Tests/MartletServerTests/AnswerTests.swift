import MartletCore
import MartletEngine
import Testing

@testable import MartletServer

/// Whole answers of chat and completions.
@Suite struct AnswerTests {
    static func usage(_ prompt: Int, _ completion: Int) -> String {
        "{\"prompt_tokens\":\(prompt),\"total_tokens\":\(prompt + completion),\"completion_tokens\":\(completion),"
            + "\"prompt_tokens_details\":{\"cached_tokens\":4,\"multimodal_tokens\":0}}"
    }

    @Test func writesAChatCompletion() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "a\"b", cached: 4))
        let reply = try await server.chat("\"request_id\":\"t\"")
        let prompt = TestModel.tokens("<|user|>Hi<|assistant|>").count
        #expect(
            reply.text
                == "{\"id\":\"chatcmpl-t\",\"object\":\"chat.completion\",\"created\":1760000000,"
                + "\"model\":\"autoglm-phone-9b\",\"system_fingerprint\":\"martlet-0.1.0\",\"choices\":[{\"index\":0,"
                + "\"message\":{\"role\":\"assistant\",\"content\":\"a\\\"b\",\"refusal\":null},\"logprobs\":null,"
                + "\"finish_reason\":\"stop\",\"stop_reason\":null}],\"usage\":\(Self.usage(prompt, 4))}")
    }

    @Test func writesACompletion() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "cd", cached: 4, stopToken: nil))
        let head =
            "\"id\":\"cmpl-t\",\"object\":\"text_completion\",\"created\":1760000000,"
            + "\"model\":\"autoglm-phone-9b\",\"system_fingerprint\":\"martlet-0.1.0\","
        let whole = try await server.complete("\"request_id\":\"t\",\"echo\":true")
        #expect(
            whole.text
                == "{\(head)\"choices\":[{\"index\":0,\"text\":\"abcd\",\"logprobs\":null,"
                + "\"finish_reason\":\"length\",\"stop_reason\":null}],\"usage\":\(Self.usage(2, 2))}")
        #expect(server.engine.requests[0].sampling.maxTokens == 16)
        let stream = try await server.complete("\"request_id\":\"t\",\"stream\":true")
        func chunk(_ text: String, _ finish: String) -> String {
            "data: {\(head)\"choices\":[{\"index\":0,\"text\":\"\(text)\",\"logprobs\":null,"
                + "\"finish_reason\":\(finish),\"stop_reason\":null}]}\n\n"
        }
        #expect(
            stream.text == chunk("c", "null") + chunk("d", "null") + chunk("", "\"length\"") + "data: [DONE]\n\n")
    }

    /// Choices of several prompts are numbered through; each prompt is a generation of its own.
    @Test func answersSeveralPrompts() async throws {
        let engine = ScriptedEngine { request throws(EngineError) in
            ScriptedEngine.talk("<\(request.prompt.tokens.count)>", request: request)
        }
        let server = try ServerUnderTest(engine)
        let reply = try await server.post(
            "/v1/completions", "{\"prompt\":[\"a\",\"bcd\"],\"echo\":true,\"model\":\"other/name\"}")
        let texts = reply.json["choices"]?.array?.map { $0["text"] ?? .null }
        #expect(texts == [.string("a<1>"), .string("bcd<3>")])
        #expect(reply.json["choices"]?.array?.map { $0["index"] } == [.integer(0), .integer(1)])
        #expect(reply.json["usage"]?["prompt_tokens"] == .integer(4))
    }

    /// If the second prompt is refused, the first is cancelled.
    @Test func takesAllPromptsOrNone() async throws {
        let engine = ScriptedEngine { request throws(EngineError) in
            if request.prompt.tokens.count > 1 { throw .queueFull }
            return [.hang]
        }
        let server = try ServerUnderTest(engine)
        let reply = try await server.post("/v1/completions", "{\"prompt\":[\"a\",\"bc\"]}")
        #expect(reply.status == 503)
        #expect(await engine.sawCancels(1))
    }

    static func logprobEngine() -> ScriptedEngine {
        ScriptedEngine { request throws(EngineError) in
            let token = SampledToken(
                token: 0x41, logprob: -0.25,
                top: [TokenLogprob(token: 0x41, logprob: -0.25), TokenLogprob(token: 0xE4, logprob: -.infinity)])
            return [
                .event(.started(promptTokens: 2, cachedTokens: 0)), .event(.tokens(choice: 0, [token])),
                .event(.tokens(choice: 0, [token])),
                .event(.finished(choice: 0, reason: .length, stopToken: nil, message: nil)),
            ]
        }
    }

    @Test func writesLogprobsOfChat() async throws {
        let server = try ServerUnderTest(Self.logprobEngine())
        let reply = try await server.chat("\"logprobs\":true,\"top_logprobs\":2")
        let entry =
            "{\"token\":\"A\",\"logprob\":-0.25,\"bytes\":[65],\"top_logprobs\":["
            + "{\"token\":\"A\",\"logprob\":-0.25,\"bytes\":[65]},"
            + "{\"token\":\"\u{FFFD}\",\"logprob\":-9999.0,\"bytes\":[228]}]}"
        #expect(reply.text.contains("\"logprobs\":{\"content\":[\(entry),\(entry)],\"refusal\":null}"))
        let stream = try await server.chat("\"logprobs\":true,\"top_logprobs\":2,\"stream\":true")
        #expect(stream.text.split(separator: "\"logprobs\":{\"content\":[\(entry)],\"refusal\":null}").count == 3)
        let named = try await server.chat("\"logprobs\":true,\"return_tokens_as_token_ids\":true")
        #expect(named.text.contains("\"token\":\"token_id:65\""))
    }

    @Test func writesLogprobsOfCompletions() async throws {
        let server = try ServerUnderTest(Self.logprobEngine())
        let reply = try await server.complete("\"logprobs\":2")
        let top = "{\"A\":-0.25,\"\u{FFFD}\":-9999.0}"
        #expect(
            reply.text.contains(
                "\"logprobs\":{\"text_offset\":[0,1],\"token_logprobs\":[-0.25,-0.25],\"tokens\":[\"A\",\"A\"],"
                    + "\"top_logprobs\":[\(top),\(top)]}"))
        let stream = try await server.complete("\"logprobs\":2,\"stream\":true")
        #expect(stream.text.contains("\"text_offset\":[0]"))
        #expect(stream.text.contains("\"text_offset\":[1]"))
    }

    @Test func returnsTokenIDs() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "AB"))
        let reply = try await server.chat("\"return_token_ids\":true")
        #expect(reply.json["choices"]?.array?[0]["token_ids"] == .array([65, 66, 256].map { .integer($0) }))
    }

    @Test func namesTheStopToken() async throws {
        let token = TestModel.tokens("!")[0]
        let server = try ServerUnderTest(ScriptedEngine(saying: "AB", stopToken: token))
        let fields = "\"stop_token_ids\":[\(token)]"
        let reply = try await server.chat(fields)
        let choice = reply.json["choices"]?.array?.first
        #expect(choice?["message"]?["content"] == .string("AB"))
        #expect(choice?["stop_reason"] == .integer(Int64(token)))
        let with = try await server.chat(fields + ",\"include_stop_str_in_output\":true")
        #expect(with.json["choices"]?.array?[0]["message"]?["content"] == .string("AB!"))
    }

    @Test func showsSpecialTokensWhenAsked() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "A<|user|>B"))
        #expect(try await server.chat().json["choices"]?.array?[0]["message"]?["content"] == .string("AB"))
        let shown = try await server.chat("\"skip_special_tokens\":false")
        #expect(shown.json["choices"]?.array?[0]["message"]?["content"] == .string("A<|user|>B"))
    }
}

/// Thoughts: in the content unless asked apart (API.md 0.3, 2.6).
@Suite struct ReasoningTests {
    static let said = "<think>hm</think>\n<answer>do(action=\"Back\")</answer>"

    private func message(_ fields: String) async throws -> JSONValue {
        let server = try ServerUnderTest(ScriptedEngine(saying: Self.said))
        return try await server.chat(fields).json["choices"]?.array?[0]["message"] ?? .null
    }

    /// What Open-AutoGLM parses: all of it but the closing tag.
    @Test func staysInContent() async throws {
        let message = try await message("")
        #expect(message["content"] == .string("<think>hm</think>\n<answer>do(action=\"Back\")"))
        #expect(message["reasoning"] == nil)
        #expect(message["reasoning_content"] == nil)
    }

    @Test func comesUnderBothNames() async throws {
        let message = try await message("\"enable_thinking\":true,\"return_reasoning\":true")
        #expect(message["content"] == .string("do(action=\"Back\")"))
        #expect(message["reasoning"] == .string("hm"))
        #expect(message["reasoning_content"] == .string("hm"))
    }

    @Test(arguments: ["\"return_reasoning\":false", "\"include_reasoning\":false"])
    func canBeDropped(_ fields: String) async throws {
        let message = try await message(fields)
        #expect(message["content"] == .string("do(action=\"Back\")"))
        #expect(message["reasoning"] == nil)
    }

    @Test func streamsUnderBothNames() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: Self.said))
        let reply = try await server.chat("\"return_reasoning\":true,\"stream\":true")
        #expect(reply.text.contains("\"delta\":{\"reasoning\":\"h\",\"reasoning_content\":\"h\"}"))
        #expect(!reply.text.contains("answer>"))
        #expect(!reply.text.contains("think>"))
    }

    /// The template of the test knows no `enable_thinking`: a closed thought is put before the answer (D16).
    @Test func canBeSwitchedOff() async throws {
        for fields in [
            "\"enable_thinking\":false", "\"chat_template_kwargs\":{\"enable_thinking\":false}",
            "\"enable_thinking\":true,\"chat_template_kwargs\":{\"enable_thinking\":false}",
        ] {
            let server = try ServerUnderTest(ScriptedEngine(saying: "ok</answer>"))
            let reply = try await server.chat(fields)
            #expect(
                server.engine.requests[0].prompt.tokens
                    == TestModel.tokens("<|user|>Hi<|assistant|><think></think><answer>"))
            #expect(reply.json["choices"]?.array?[0]["message"]?["content"] == .string("ok"))
        }
    }

    @Test func refusesTheServersOwnVariables() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let reply = try await server.chat("\"chat_template_kwargs\":{\"messages\":[]}")
        #expect(reply.status == 400)
        #expect(reply.error["param"] == .string("chat_template_kwargs"))
    }
}
