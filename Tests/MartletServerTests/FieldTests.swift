import MartletCore
import MartletEngine
import Testing

@testable import MartletServer

/// What each field takes, refuses and does.
@Suite struct FieldTests {
    static let boundaries = [
        "0", "-1", "1", "-0.0", "1.5", "2", "2147483647", "2147483648", "9007199254740993", "9223372036854775807",
        "9223372036854775808", "-9223372036854775809", "1e308", "-1e308", "1e-320", "1e999", "NaN", "Infinity", "\"1\"",
        "true", "null", "[]", "{}",
    ]
    static let numbers = [
        "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "n",
        "seed", "max_tokens", "max_completion_tokens", "min_tokens", "top_logprobs", "priority", "length_penalty",
        "truncate_prompt_tokens", "prompt_logprobs", "thinking_token_budget", "best_of", "logprobs",
    ]

    /// 400, or an answer; never a 5xx, never a trap.
    @Test(arguments: numbers) func survivesEveryNumber(_ field: String) async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        for value in Self.boundaries {
            for path in ["chat", "completion"] {
                let fields = "\"\(field)\":\(value)"
                // The scripted engine plays one choice; more would never end.
                if field == "n", value == "2" { continue }
                let reply = path == "chat" ? try await server.chat(fields) : try await server.complete(fields)
                #expect([200, 400].contains(reply.status), "\(path) \(fields): \(reply.status)")
                if ["1e999", "NaN", "Infinity", "\"1\"", "[]", "{}"].contains(value) {
                    #expect(reply.status == 400, "\(path) \(fields)")
                }
            }
        }
        for request in server.engine.requests {
            let sampling = request.sampling
            #expect(sampling.temperature.isFinite && sampling.temperature >= 0)
            #expect(sampling.topP > 0 && sampling.topP <= 1)
            #expect(sampling.repetitionPenalty > 0 && sampling.repetitionPenalty.isFinite)
            #expect(sampling.maxTokens >= 1 && sampling.maxTokens <= 512)
            #expect(sampling.minTokens <= sampling.maxTokens)
        }
    }

    /// Token ids at the width of the logits (CVE-2026-93840).
    @Test func checksTokenIDsAgainstTheLogits() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let width = TestModel.vocabularySize
        for (fields, isAllowed) in [
            ("\"stop_token_ids\":[\(width - 1)]", true), ("\"stop_token_ids\":[\(width)]", false),
            ("\"stop_token_ids\":[-1]", false), ("\"allowed_token_ids\":[\(width - 1)]", true),
            ("\"allowed_token_ids\":[\(width)]", false), ("\"allowed_token_ids\":[]", false),
            ("\"logit_bias\":{\"\(width - 1)\":1}", true), ("\"logit_bias\":{\"\(width)\":1}", false),
            ("\"logit_bias\":{\"-1\":1}", false), ("\"logit_bias\":{\"x\":1}", false),
            ("\"logit_bias\":{\"1\":101}", false), ("\"logit_bias\":{\"1\":\"1\"}", false),
        ] {
            #expect(try await server.chat(fields).status == (isAllowed ? 200 : 400), "\(fields)")
        }
        for (prompt, status) in [
            ("[\(width - 1)]", 200), ("[\(width)]", 400), ("[-1]", 400), ("[1.5]", 400), ("[]", 400),
        ] {
            let reply = try await server.post("/v1/completions", "{\"prompt\":\(prompt)}")
            #expect(reply.status == status, "\(prompt)")
        }
    }

    @Test func limitsEveryList() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        func list(_ item: String, _ count: Int) -> String {
            "[" + [String](repeating: item, count: count).joined(separator: ",") + "]"
        }
        let biases = (0..<1025).map { "\"\($0)\":1" }.joined(separator: ",")
        for fields in [
            "\"n\":17", "\"stop\":\(list("\"a\"", 17))", "\"top_logprobs\":21,\"logprobs\":true",
            "\"logit_bias\":{\(biases)}", "\"stop\":[\"\"]", "\"stop\":[1]", "\"top_logprobs\":1",
            "\"stop_token_ids\":\(list("1", 1025))", "\"min_tokens\":6,\"max_tokens\":5",
        ] {
            #expect(try await server.chat(fields).status == 400, "\(fields.prefix(40))")
        }
        let reply = try await server.post("/v1/completions", "{\"prompt\":\(list("\"a\"", 129))}")
        #expect(reply.status == 400)
        #expect(reply.error["param"] == .string("prompt"))
    }

    /// D17: honoured or refused by name, never silently ignored.
    @Test(arguments: [
        "truncate_prompt_tokens", "prompt_logprobs", "structured_outputs", "guided_json", "guided_regex",
        "guided_choice", "guided_grammar", "thinking_token_budget", "tools", "functions", "audio", "prediction",
        "web_search_options", "verbosity", "documents", "chat_template", "kv_transfer_params", "mm_processor_kwargs",
        "media_io_kwargs", "bad_words", "logits_processors",
    ]) func refusesWhatItDoesNotDo(_ field: String) async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let reply = try await server.chat("\"\(field)\":{\"a\":1}")
        #expect(reply.status == 400)
        #expect(reply.error["param"] == .string(field))
        #expect(try await server.chat("\"\(field)\":null").status == 200)
    }

    @Test func refusesValuesItDoesNotDo() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        for (asked, harmless) in [
            ("\"response_format\":{\"type\":\"json_object\"}", "\"response_format\":{\"type\":\"text\"}"),
            ("\"tool_choice\":\"required\"", "\"tool_choice\":\"none\""), ("\"echo\":true", "\"echo\":false"),
            ("\"use_beam_search\":true", "\"use_beam_search\":false"), ("\"store\":true", "\"store\":false"),
            ("\"service_tier\":\"flex\"", "\"service_tier\":\"auto\""),
            ("\"modalities\":[\"audio\"]", "\"modalities\":[\"text\"]"),
            ("\"spaces_between_special_tokens\":false", "\"spaces_between_special_tokens\":true"),
            ("\"reasoning_effort\":\"high\"", "\"reasoning_effort\":\"none\""),
            ("\"length_penalty\":2", "\"length_penalty\":1.0"),
            ("\"user\":1", "\"user\":\"me\""), ("\"metadata\":1", "\"metadata\":{}"),
        ] {
            #expect(try await server.chat(asked).status == 400, "\(asked)")
            #expect(try await server.chat(harmless).status == 200, "\(harmless)")
        }
    }

    @Test func handsSamplingToTheEngine() async throws {
        var model = try TestModel.served()
        model.defaults.temperature = 0.8
        model.defaults.topK = 2
        model.defaults.repetitionPenalty = 1.1
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"), model: model)
        _ = try await server.chat(
            """
            "top_p":0.85,"min_p":0.1,"presence_penalty":-0.5,"frequency_penalty":0.2,"seed":-7,"min_tokens":2,\
            "max_completion_tokens":9,"max_tokens":5,"stop_token_ids":[3],"logit_bias":{"4":-100},"ignore_eos":true,\
            "logprobs":true,"top_logprobs":3,"priority":-2,"cache_salt":"s","allowed_token_ids":[1,2]
            """)
        let request = try #require(server.engine.requests.first)
        var expected = SamplingParameters()
        expected.temperature = 0.8
        expected.topK = 2
        expected.repetitionPenalty = 1.1
        expected.topP = 0.85
        expected.minP = 0.1
        expected.presencePenalty = -0.5
        expected.frequencyPenalty = 0.2
        expected.seed = UInt64(bitPattern: -7)
        expected.minTokens = 2
        expected.maxTokens = 9
        expected.stopTokens = [3]
        expected.logitBias = [4: -100]
        expected.ignoresEndOfGeneration = true
        expected.logprobCount = 3
        expected.allowedTokens = [1, 2]
        #expect(request.sampling == expected)
        #expect(request.priority == -2)
        #expect(request.cacheSalt == "s")
        #expect(request.prompt.tokens == TestModel.tokens("<|user|>Hi<|assistant|>"))
    }

    /// Strict JSON: duplicates, other encodings and marks are refused.
    @Test func refusesDoubtfulDocuments() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        let deep = String(repeating: "[", count: 513)
        for body in [
            "{\"prompt\":\"a\",\"prompt\":\"b\"}", "\u{FEFF}{\"prompt\":\"a\"}", "{\"prompt\":\"\\ud800\"}",
            "{\"prompt\":\"a\"} x", "{\"prompt\":'a'}", "{\"prompt\":\(deep)", "[]", "\"a\"", "", "null",
            "{\"prompt\":\"a\",\"x\":\(deep)}",
        ] {
            let reply = try await server.post("/v1/completions", body)
            #expect(reply.status == 400, "\(body.prefix(30))")
            #expect(reply.error["message"]?.string.map { $0.utf8.count < 300 } == true)
        }
    }
}
