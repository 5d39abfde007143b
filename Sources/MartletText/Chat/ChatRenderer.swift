import MartletCore

/// Conversations to prompt text, by the model's template (MODEL.md 5.1, API.md 2.6).
///
/// Every text of a request is passed through `guarding` before the template sees it, so that a user can't spell a
/// control token.
package struct ChatRenderer: Sendable {
    package let template: ChatTemplate
    /// The model marks its answers with `<answer>` (the GLM-4.1V family): `</answer>` ends its text, and thinking is
    /// switched off by a prefilled empty thought.
    package let answerTags: Bool
    private let beginToken: String?
    private let endToken: String?
    private let images: ImageMarkup
    private let guarding: @Sendable (String) -> String
    /// Roles whose branch of the template reads a list of parts.
    private let listRoles: Set<String>

    /// Asks the template, by rendering a probe, which roles take lists.
    ///
    /// - Parameters:
    ///   - beginToken: `bos_token` as the tokenizer's files spell it, if they do; `endToken` likewise.
    ///   - answerTags: whether `</answer>` is a token of the vocabulary. Nil reads it off the template: it names
    ///     `<answer>`, or it is a GLM vision template (`[gMASK]` and `<|begin_of_image|>`) that does not know
    ///     `enable_thinking`, which came with the generation after GLM-4.1V.
    ///   - guarding: makes text harmless; `Tokenizer.guarding`.
    package init(
        template: ChatTemplate, beginToken: String?, endToken: String?, images: ImageMarkup = .glm,
        answerTags: Bool? = nil, guarding: @escaping @Sendable (String) -> String
    ) {
        self.template = template
        self.beginToken = beginToken
        self.endToken = endToken
        self.images = images
        self.guarding = guarding
        self.answerTags = answerTags ?? Self.namesAnswerTags(template)
        listRoles = Set(["system", "user", "assistant"].filter { Self.readsLists(template, role: $0) })
    }

    /// - Parameters:
    ///   - continueFinalMessage: the last turn is left open, for the model to go on.
    ///   - templateArguments: `chat_template_kwargs`; where it says `enable_thinking`, it wins.
    ///   - enableThinking: handed to templates that use it. `false` on a model with answer tags whose template does
    ///     not use it puts `<think></think><answer>` in the assistant's mouth.
    ///   - now: seconds since 1970, for templates that tell the date.
    /// - Throws: `ChatError`; all of it is for the user.
    package func render(
        messages: [ChatMessage], format: ContentFormat = .auto, addGenerationPrompt: Bool = true,
        continueFinalMessage: Bool = false, templateArguments: JSONObject = JSONObject(), enableThinking: Bool? = nil,
        now: Int = 0
    ) throws(ChatError) -> ChatPrompt {
        guard !continueFinalMessage || !addGenerationPrompt else {
            throw .cannotContinue("not together with add_generation_prompt")
        }
        let thinks = templateArguments["enable_thinking"]?.bool ?? enableThinking
        var variables = try variables(templateArguments, addGenerationPrompt: addGenerationPrompt, thinks: thinks)
        variables["messages"] = .array(
            messages.enumerated().map { index, message in
                let isContinued = continueFinalMessage && index == messages.count - 1
                return value(of: message, format, suffix: isContinued ? ContinuedText.mark : "")
            })
        var text: String
        do { text = try template.render(variables, now: now) } catch { throw .template(error) }
        var prefilled = ""
        if continueFinalMessage {
            (text, prefilled) = try ContinuedText.cut(text, after: guarding(messages.last?.lastText ?? ""))
        } else if addGenerationPrompt, thinks == false, answerTags, !usesThinkingVariable {
            prefilled = "<think></think><answer>"
            text += prefilled
        }
        let imageOrder = messages.flatMap(\.images)
        let rendered = PythonText.occurrences(of: images.placeholder, in: text).count
        guard rendered == imageOrder.count else { throw .imageCount(given: imageOrder.count, rendered: rendered) }
        let start = prefilled.isEmpty && addGenerationPrompt ? Self.start(of: text) : OutputStart(after: prefilled)
        return ChatPrompt(text: text, imageOrder: imageOrder, prefilled: prefilled, start: start)
    }

    /// Some templates end the prompt with an open thought.
    private static func start(of prompt: String) -> OutputStart {
        PythonText.stripped(prompt, nil, left: false).utf8.reversed().starts(with: "<think>".utf8.reversed())
            ? .thinking : .fresh
    }

    private var usesThinkingVariable: Bool { Self.names("enable_thinking", template) }

    private static func names(_ word: String, _ template: ChatTemplate) -> Bool {
        !PythonText.occurrences(of: word, in: template.source, limit: 1).isEmpty
    }

    private static func namesAnswerTags(_ template: ChatTemplate) -> Bool {
        let isGLMVision = names("[gMASK]", template) && names("<|begin_of_image|>", template)
        return names("<answer>", template) || isGLMVision && !names("enable_thinking", template)
    }

    /// What the server itself tells every template.
    private static let reserved: Set<String> = Set(
        ["messages", "add_generation_prompt", "continue_final_message", "bos_token", "eos_token", "tools"]
            + TemplateFunction.allCases.map(\.rawValue))

    private func variables(
        _ arguments: JSONObject, addGenerationPrompt: Bool, thinks: Bool?
    ) throws(ChatError) -> JSONObject {
        var variables = JSONObject([
            ("messages", .null), ("tools", .null), ("documents", .null),
            ("add_generation_prompt", .bool(addGenerationPrompt)),
        ])
        variables["bos_token"] = beginToken.map(JSONValue.string)
        variables["eos_token"] = endToken.map(JSONValue.string)
        variables["enable_thinking"] = thinks.map(JSONValue.bool)
        for (name, value) in arguments.entries {
            guard !Self.reserved.contains(name) else { throw .reservedArgument(name) }
            variables[name] = guarded(value)
        }
        return variables
    }
}

// Messages as the template sees them.
extension ChatRenderer {
    /// - Parameter suffix: put after the last text.
    private func value(of message: ChatMessage, _ format: ContentFormat, suffix: String) -> JSONValue {
        var object = JSONObject([("role", .string(guarding(message.role)))])
        object["content"] = content(of: message, format, suffix: suffix)
        for (name, value) in message.fields.entries where name != "role" && name != "content" {
            object[guarding(name)] = guarded(name == "tool_calls" ? Self.withParsedArguments(value) : value)
        }
        return .object(object)
    }

    private func content(of message: ChatMessage, _ format: ContentFormat, suffix: String) -> JSONValue {
        switch message.content {
        // A template would print the word None.
        case .absent: return .string(suffix)
        case .text(let text): return .string(guarding(text) + suffix)
        case .parts(let parts):
            let texts = parts.compactMap { part in if case .text(let text) = part { guarding(text) } else { nil } }
            let isPlain = texts.count == parts.count && message.role != "user"
            let isList =
                switch format {
                case .string: false
                case .openai: !isPlain
                case .auto: !isPlain && listRoles.contains(message.role)
                }
            guard isList else {
                let media = Array(repeating: images.text, count: parts.count - texts.count)
                return .string((media + [texts.joined(separator: "\n")]).joined(separator: "\n") + suffix)
            }
            return list(of: parts, suffix: suffix)
        }
    }

    private func list(of parts: [ChatMessage.Part], suffix: String) -> JSONValue {
        let last = parts.lastIndex { if case .text = $0 { true } else { false } }
        return .array(
            parts.enumerated().map { index, part in
                switch part {
                case .image: .object(JSONObject([("type", .string("image"))]))
                case .text(let text):
                    .object(
                        JSONObject([
                            ("type", .string("text")),
                            ("text", .string(guarding(text) + (index == last ? suffix : ""))),
                        ]))
                }
            })
    }

    /// The same with every string of it guarded, keys too.
    private func guarded(_ value: JSONValue) -> JSONValue {
        switch value {
        case .string(let text): .string(guarding(text))
        case .array(let items): .array(items.map(guarded))
        case .object(let object): .object(JSONObject(object.entries.map { (guarding($0.key), guarded($0.value)) }))
        default: value
        }
    }

    /// OpenAI sends a call's arguments as JSON in a string; templates are written for the object.
    private static func withParsedArguments(_ calls: JSONValue) -> JSONValue {
        guard let calls = calls.array else { return calls }
        return .array(
            calls.map { call in
                guard var object = call.object, var function = object["function"]?.object,
                    let text = function["arguments"]?.string, let arguments = try? JSONParser.parse(text),
                    arguments.object != nil
                else { return call }
                function["arguments"] = arguments
                object["function"] = .object(function)
                return .object(object)
            })
    }
}

// The probe.
extension ChatRenderer {
    private static func readsLists(_ template: ChatTemplate, role: String) -> Bool {
        let probe = "martlet probe"
        let part = JSONObject([("type", .string("text")), ("text", .string(probe))])
        let turn = JSONObject([("role", .string(role)), ("content", .array([.object(part)]))])
        let user = JSONObject([("role", .string("user")), ("content", .string("x"))])
        let turns =
            switch role {
            case "system": [turn, user]
            case "assistant": [user, turn]
            default: [turn]
            }
        let variables = JSONObject([
            ("messages", .array(turns.map(JSONValue.object))), ("tools", .null), ("documents", .null),
            ("add_generation_prompt", .bool(false)), ("bos_token", .string("")), ("eos_token", .string("")),
        ])
        guard let text = try? template.render(variables) else { return false }
        let isPrinted = ["'type'", "\"type\""].contains { !PythonText.occurrences(of: $0, in: text, limit: 1).isEmpty }
        return !isPrinted && !PythonText.occurrences(of: probe, in: text, limit: 1).isEmpty
    }
}
