import HTTPTypes
import MartletCore
import MartletEngine
import Testing

@testable import MartletServer

/// What is prefilled after an answer: the beginning of an agent's next request, and nothing in any other case.
@Suite struct NextTurnTests {
    private static let answer = "I tap. do(action=\"Back\")"
    private static let picture =
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"\(TestPicture.url(112, 112))\"}}"
    private static func text(_ text: String) -> String { "{\"type\":\"text\",\"text\":\"\(text)\"}" }
    private static func user(_ parts: String...) -> String {
        "{\"role\":\"user\",\"content\":[\(parts.joined(separator: ","))]}"
    }
    private static func assistant(_ text: String) -> String { "{\"role\":\"assistant\",\"content\":\"\(text)\"}" }
    private static let system = "{\"role\":\"system\",\"content\":\"S\"}"

    /// What the engine was told to prefill, once it knows of the answer's end.
    private func ahead(
        _ messages: [String], saying answer: String = NextTurnTests.answer, _ more: String = "",
        engine: ScriptedEngine? = nil, configure: (inout ServerConfiguration) -> Void = { _ in }
    ) async throws -> [(tokens: [TokenID], cacheSalt: String)] {
        let server = try ServerUnderTest(engine ?? ScriptedEngine(saying: answer), configure: configure)
        _ = try await server.post(
            "/v1/chat/completions", "{\"messages\":[\(messages.joined(separator: ","))]\(more)}")
        // Whoever stops the answer's source comes behind the prefill: both are tasks of the end.
        #expect(await server.engine.sawCancels(1))
        for _ in 0..<50 where server.engine.ahead.isEmpty { try await Task.sleep(for: .milliseconds(2)) }
        return server.engine.ahead
    }

    private func prompt(_ text: String) -> [TokenID] { TestModel.tokens(text) }

    @Test(arguments: ["", ",\"stream\":true", ",\"max_tokens\":40"])
    func afterAStepTheNextBeginsWithoutItsPicture(more: String) async throws {
        let messages = [Self.system, Self.user(Self.picture, Self.text("one"))]
        let found = try await ahead(messages, more)
        #expect(found.count == 1)
        #expect(
            found.first?.tokens
                == prompt(
                    "<|system|>S<|user|>one<|assistant|><think>I tap.</think><answer>do(action=\"Back\")</answer>"
                        + "<|user|><|begin_of_image|><|image|>"))
    }

    /// The prompt that the client then sends begins with these tokens, and goes on where its picture stands.
    @Test func itIsWhatTheClientSends() async throws {
        let first = [Self.system, Self.user(Self.picture, Self.text("one"))]
        let known = try #require(try await ahead(first).first?.tokens)
        let server = try ServerUnderTest(ScriptedEngine(saying: Self.answer))
        let history = [
            Self.system, Self.user(Self.text("one")),
            Self.assistant("<think>I tap.</think><answer>do(action=\\\"Back\\\")</answer>"),
        ]
        let next = (history + [Self.user(Self.picture, Self.text("two"))]).joined(separator: ",")
        _ = try await server.post("/v1/chat/completions", "{\"messages\":[\(next)]}")
        let sent = try #require(server.engine.requests.first?.prompt)
        #expect(Array(sent.tokens.prefix(known.count)) == known)
        #expect(sent.images.first?.offset == known.count - 1)
    }

    @Test func laterStepsFollowTheHistorysForm() async throws {
        let rebuilt = Self.assistant("<think>a</think><answer>b</answer>")
        let last = Self.user(Self.picture, Self.text("two"))
        let agent = try await ahead([Self.user(Self.text("one")), rebuilt, last], saying: "no action")
        #expect(
            agent.first?.tokens
                == prompt(
                    "<|user|>one<|assistant|><think>a</think><answer>b</answer><|user|>two<|assistant|>"
                        + "<think></think><answer>no action</answer><|user|><|begin_of_image|><|image|>"))
        let plain = try await ahead([Self.user(Self.text("one")), Self.assistant("b"), last], saying: Self.answer)
        #expect(
            plain.first?.tokens
                == prompt(
                    "<|user|>one<|assistant|>b<|user|>two<|assistant|>\(Self.answer)"
                        + "<|user|><|begin_of_image|><|image|>"))
    }

    @Test func theSaltGoesWithIt() async throws {
        let found = try await ahead([Self.user(Self.picture)], ",\"cache_salt\":\"tenant\"")
        #expect(found.map(\.cacheSalt) == ["tenant"])
    }

    @Test func thoughtsThatTheClientNeverSawAreNotInIt() async throws {
        let found = try await ahead(
            [Self.user(Self.picture)], saying: "<think>secret</think><answer>do(action=\"Back\")",
            ",\"return_reasoning\":true")
        #expect(
            found.first?.tokens
                == prompt(
                    "<|user|><|assistant|><think></think><answer>do(action=\"Back\")</answer>"
                        + "<|user|><|begin_of_image|><|image|>"))
    }

    @Test func nothingWhereNoAgentMayHaveAsked() async throws {
        let shot = Self.user(Self.picture, Self.text("one"))
        #expect(try await ahead([Self.user(Self.text("one"))]).isEmpty, "no picture")
        #expect(try await ahead([shot, Self.assistant("a"), shot]).isEmpty, "pictures stay in its history")
        #expect(try await ahead([shot], saying: "a nice picture").isEmpty, "no action")
        #expect(try await ahead([shot], saying: "finish(message=\"done\")").isEmpty, "no next step")
        #expect(try await ahead([shot], ",\"n\":2,\"temperature\":1").isEmpty)
        #expect(try await ahead([shot]) { $0.prefillsNextTurn = false }.isEmpty)
    }

    @Test(arguments: [FinishReason.error, .cancelled]) func nothingAfterAnAnswerThatFailed(
        reason: FinishReason
    ) async throws {
        for more in ["", ",\"stream\":true"] {
            let engine = ScriptedEngine { request throws(EngineError) in
                var acts = ScriptedEngine.talk(Self.answer, request: request).dropLast()
                acts.append(.event(.finished(choice: 0, reason: reason, stopToken: nil, message: "no")))
                return Array(acts)
            }
            #expect(try await ahead([Self.user(Self.picture)], more, engine: engine).isEmpty)
        }
    }

    @Test func theMetricsTellOfIt() async throws {
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"))
        var statistics = EngineStatistics()
        (statistics.aheadTokens, statistics.aheadHitTokens) = (48, 32)
        server.engine.set(statistics)
        let page = try await server.send(.get, "/metrics").text
        let labels = "{model_name=\"autoglm-phone-9b\",engine=\"0\"}"
        #expect(page.contains("martlet:prefill_ahead_tokens_total\(labels) 48.0\n"))
        #expect(page.contains("martlet:prefill_ahead_hit_tokens_total\(labels) 32.0\n"))
    }
}
