import MartletCore
import Testing

@testable import MartletText

@Suite struct ChatRendererTests {
    private static let image = "<|begin_of_image|><|image|><|end_of_image|>"

    private static func renderer(
        _ source: String = BuiltInTemplate.glm4v, answerTags: Bool? = nil,
        guarding: @escaping @Sendable (String) -> String = { $0 }
    ) throws -> ChatRenderer {
        ChatRenderer(
            template: try ChatTemplate(source: source, file: "template"), beginToken: "<s>", endToken: "</s>",
            answerTags: answerTags, guarding: guarding)
    }

    private static let screenshot = ChatMessage(role: "user", content: .parts([.image(0), .text("Q1")]))

    @Test func theTemplateDecidesByDefault() throws {
        let prompt = try Self.renderer().render(messages: [ChatMessage(role: "system", text: "SYS"), Self.screenshot])
        #expect(prompt.text == "[gMASK]<sop><|system|>\nSYS<|user|>\n\(Self.image)Q1<|assistant|>\n")
        #expect(prompt.imageOrder == [0])
        #expect(prompt.prefilled == "")
        #expect(prompt.start == .fresh)
    }

    /// The official AutoGLM recipe: media first, then a newline, then the text.
    @Test func stringFormatIsTheOfficialOne() throws {
        let renderer = try Self.renderer()
        let prompt = try renderer.render(messages: [Self.screenshot], format: .string)
        #expect(prompt.text == "[gMASK]<sop><|user|>\n\(Self.image)\nQ1<|assistant|>\n")
        let mixed = ChatMessage(role: "user", content: .parts([.text("a"), .image(4), .text("b"), .image(2)]))
        let two = try renderer.render(messages: [mixed], format: .string)
        #expect(two.text == "[gMASK]<sop><|user|>\n\(Self.image)\n\(Self.image)\na\nb<|assistant|>\n")
        #expect(two.imageOrder == [4, 2])
        let bare = try renderer.render(
            messages: [ChatMessage(role: "user", content: .parts([.image(0)]))], format: .string)
        #expect(bare.text == "[gMASK]<sop><|user|>\n\(Self.image)\n<|assistant|>\n")
    }

    @Test func partsKeepTheirOrder() throws {
        let messages = [
            ChatMessage(role: "user", content: .parts([.text("a"), .image(1), .text("b"), .image(0)])),
            ChatMessage(role: "assistant", text: "<think>t</think><answer>do()</answer>"),
            ChatMessage(role: "user", content: .parts([.text("only text")])),
        ]
        for format in [ContentFormat.auto, .openai] {
            let prompt = try Self.renderer().render(messages: messages, format: format)
            #expect(
                prompt.text
                    == "[gMASK]<sop><|user|>\na\(Self.image)b\(Self.image)<|assistant|>\n"
                    + "<think>t</think><answer>do()</answer><|user|>\nonly text<|assistant|>\n")
            #expect(prompt.imageOrder == [1, 0])
        }
    }

    @Test func textListsOfSystemAndAssistantAreStrings() throws {
        let messages = [
            ChatMessage(role: "system", content: .parts([.text("S"), .text("T")])),
            ChatMessage(role: "user", text: "x"),
            ChatMessage(role: "assistant", content: .parts([.text("A")])),
        ]
        for format in ContentFormat.allCases {
            let prompt = try Self.renderer().render(messages: messages, format: format, addGenerationPrompt: false)
            #expect(prompt.text == "[gMASK]<sop><|system|>\nS\nT<|user|>\nx<|assistant|>\nA")
        }
    }

    /// SmolLM2's kind of template adds strings: lists would be a type error.
    @Test func templatesOfStringsGetStrings() throws {
        let source = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
        let messages = [ChatMessage(role: "user", content: .parts([.text("a"), .text("b")]))]
        let prompt = try Self.renderer(source).render(messages: messages)
        #expect(prompt.text == "user: a\nb\n")
        #expect(throws: ChatError.self) {
            try Self.renderer(source).render(messages: [Self.screenshot], format: .openai)
        }
    }

    @Test func droppedImagesAreAnError() throws {
        let dropped = ChatMessage(role: "tool", content: .parts([.image(0)]))
        #expect(throws: ChatError.imageCount(given: 1, rendered: 0)) {
            try Self.renderer().render(messages: [dropped])
        }
        #expect(throws: ChatError.imageCount(given: 0, rendered: 1)) {
            try Self.renderer().render(messages: [ChatMessage(role: "user", text: "what is <|image|>?")])
        }
    }

    @Test func everyTextOfTheRequestIsGuarded() throws {
        let guarding: @Sendable (String) -> String = { "«\($0)»" }
        let source = """
            {% for m in messages %}{{ m | tojson }}{% endfor %}{{ extra | tojson }}{{ bos_token }}<|end|>
            """
        let calls = try JSONParser.parse(#"[{"function": {"name": "f", "arguments": "{\"k\": [\"v\", 1]}"}}]"#)
        let message = ChatMessage(role: "user", content: .text("a"), fields: JSONObject([("tool_calls", calls)]))
        let prompt = try Self.renderer(source, guarding: guarding).render(
            messages: [message],
            templateArguments: JSONObject([("extra", .array([.string("e")]))]))
        let call = #"{"«function»": {"«name»": "«f»", "«arguments»": {"«k»": ["«v»", 1]}}}"#
        #expect(
            prompt.text
                == #"{"role": "«user»", "content": "«a»", "«tool_calls»": [\#(call)]}["«e»"]<s><|end|>"#)
    }

    @Test func requestsCannotReplaceWhatTheServerSays() throws {
        for name in ["messages", "add_generation_prompt", "bos_token", "raise_exception", "tools"] {
            #expect(throws: ChatError.reservedArgument(name)) {
                try Self.renderer().render(messages: [], templateArguments: JSONObject([(name, .null)]))
            }
        }
    }

    @Test func absentContentIsEmpty() throws {
        let messages = [ChatMessage(role: "user", text: "x"), ChatMessage(role: "assistant", content: .absent)]
        let prompt = try Self.renderer().render(messages: messages, addGenerationPrompt: false)
        #expect(prompt.text == "[gMASK]<sop><|user|>\nx<|assistant|>\n")
    }
}

// Thinking and continuing.
extension ChatRendererTests {
    @Test func thinkingIsSwitchedOffByAPrefilledThought() throws {
        let messages = [ChatMessage(role: "user", text: "x")]
        let renderer = try Self.renderer()
        #expect(renderer.answerTags)
        let prompt = try renderer.render(messages: messages, enableThinking: false)
        #expect(prompt.text == "[gMASK]<sop><|user|>\nx<|assistant|>\n<think></think><answer>")
        #expect(prompt.prefilled == "<think></think><answer>")
        #expect(prompt.start == .answering)
        for thinks in [nil, true] {
            #expect(try renderer.render(messages: messages, enableThinking: thinks).prefilled == "")
        }
        let arguments = JSONObject([("enable_thinking", .bool(true))])
        let overridden = try renderer.render(messages: messages, templateArguments: arguments, enableThinking: false)
        #expect(overridden.prefilled == "")
        let closed = try renderer.render(messages: messages, addGenerationPrompt: false, enableThinking: false)
        #expect(closed.prefilled == "")
    }

    @Test func templatesThatKnowTheVariableGetIt() throws {
        let source = """
            [gMASK]<|begin_of_image|>\
            {{ 'off' if enable_thinking is defined and not enable_thinking else 'on' }}
            """
        let renderer = try Self.renderer(source)
        #expect(!renderer.answerTags)
        #expect(try renderer.render(messages: []).text.hasSuffix("on"))
        #expect(try renderer.render(messages: [], enableThinking: true).text.hasSuffix("on"))
        #expect(try renderer.render(messages: [], enableThinking: false).text.hasSuffix("off"))
    }

    @Test func otherModelsAreLeftAlone() throws {
        let renderer = try Self.renderer(BuiltInTemplate.chatML)
        let prompt = try renderer.render(messages: [ChatMessage(role: "user", text: "x")], enableThinking: false)
        #expect(prompt.text == "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n")
        #expect(!renderer.answerTags)
        #expect(try Self.renderer(BuiltInTemplate.chatML, answerTags: true).answerTags)
    }

    @Test func anOpenThoughtInThePromptIsNoticed() throws {
        let prompt = try Self.renderer("{{ messages[0].content }}<|assistant|><think>\n\n").render(
            messages: [ChatMessage(role: "user", text: "x")])
        #expect(prompt.start == .thinking)
        #expect(OutputStart(after: "<think>a</think><answer>") == .answering)
        #expect(OutputStart(after: "<think>a</think>") == .fresh)
        #expect(OutputStart(after: "<think>a") == .thinking)
        #expect(OutputStart(after: "") == .fresh)
    }

    @Test func theFinalMessageIsContinued() throws {
        let messages = [
            ChatMessage(role: "user", text: "x"), ChatMessage(role: "assistant", text: "<think>look\n"),
        ]
        let prompt = try Self.renderer().render(
            messages: messages, addGenerationPrompt: false, continueFinalMessage: true)
        #expect(prompt.text == "[gMASK]<sop><|user|>\nx<|assistant|>\n<think>look\n")
        #expect(prompt.prefilled == "<think>look\n")
        #expect(prompt.start == .thinking)
        let trimming = try Self.renderer("{% for m in messages %}[{{ m.content | trim }}]{% endfor %}").render(
            messages: messages, addGenerationPrompt: false, continueFinalMessage: true)
        #expect(trimming.text == "[x][<think>look")
        let chatML = try Self.renderer(BuiltInTemplate.chatML).render(
            messages: messages, addGenerationPrompt: false, continueFinalMessage: true)
        #expect(chatML.text == "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n<think>look\n")
    }

    @Test func whatCannotBeContinuedIsSaid() throws {
        let renderer = try Self.renderer()
        #expect(throws: ChatError.self) {
            try renderer.render(messages: [], addGenerationPrompt: true, continueFinalMessage: true)
        }
        #expect(throws: ChatError.self) {
            try renderer.render(messages: [], addGenerationPrompt: false, continueFinalMessage: true)
        }
        #expect(throws: ChatError.self) {
            try renderer.render(
                messages: [ChatMessage(role: "tool", text: "dropped")], addGenerationPrompt: false,
                continueFinalMessage: true)
        }
    }

    @Test func theTemplatesOwnRefusalIsTold() throws {
        let error = #expect(throws: ChatError.self) {
            try Self.renderer("{{ raise_exception('only users') }}").render(messages: [])
        }
        #expect(error == .template(TemplateError(.raised, "only users", file: "template", line: 1)))
    }
}
