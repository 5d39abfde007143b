import MartletCore

/// Conversations to prompt text, by the model's template.
package struct ChatRenderer: Sendable {
    package let template: ChatTemplate
    /// The model marks its answers with `<answer>` (the GLM-4.1V family).
    package let answerTags: Bool

    package init(
        template: ChatTemplate, beginToken: String?, endToken: String?, imagePlaceholder: String = "<|image|>",
        answerTags: Bool? = nil, guarding: @escaping @Sendable (String) -> String
    ) {
        self.template = template
        self.answerTags = answerTags ?? false
    }

    package func render(
        messages: [ChatMessage], format: ContentFormat = .auto, addGenerationPrompt: Bool = true,
        continueFinalMessage: Bool = false, templateArguments: JSONObject = JSONObject(), enableThinking: Bool? = nil,
        now: Int = 0
    ) throws(ChatError) -> ChatPrompt {
        throw .cannotContinue("not yet")
    }
}
