import MartletCore
import MartletText

/// What a phone agent will send next (API.md 3.1): the conversation with the last picture taken out, the answer put
/// together again, and a turn that begins with a new picture. Its beginning is known when the answer ends, seconds
/// before the phone has acted.
struct NextTurn: Sendable {
    private let preparation: RequestPreparation
    private let messages: [ChatMessage]
    /// The last answer in the history as the client sent it; nil in a first step.
    private let lastAnswer: String?
    private let templateArguments: JSONObject
    private let enablesThinking: Bool?
    private let addsSpecialTokens: Bool
    private let now: Int
    let cacheSalt: String

    /// nil unless an agent may have asked: one answer, to a last turn that shows the only pictures.
    init?(after request: ChatCompletionRequest, preparation: RequestPreparation, now: Int) {
        guard preparation.configuration.prefillsNextTurn, preparation.model.chat != nil,
            request.options.sampling.choiceCount == 1, request.addsGenerationPrompt,
            let last = request.messages.last, last.role == "user", !last.imageURLs.isEmpty,
            request.messages.dropLast().allSatisfy({ $0.imageURLs.isEmpty })
        else { return nil }
        self.preparation = preparation
        self.now = now
        var history = request.messages
        history[history.count - 1].parts.removeAll { if case .image = $0 { true } else { false } }
        messages = RequestPreparation.chatMessages(history)
        lastAnswer = history.last { $0.role == "assistant" }.map { message in
            message.parts.map { if case .text(let text) = $0 { text } else { "" } }.joined()
        }
        templateArguments = preparation.templateArguments(request)
        enablesThinking = request.enablesThinking
        addsSpecialTokens = request.addsSpecialTokens
        cacheSalt = request.options.cacheSalt
    }

    /// The tokens that the next prompt begins with, up to its picture's first; nil if nothing is known of it.
    func tokens(after content: String) -> [TokenID]? {
        guard let answer = resent(content), let chat = preparation.model.chat,
            let imageToken = preparation.model.imageToken
        else { return nil }
        let next = [
            ChatMessage(role: "assistant", text: answer), ChatMessage(role: "user", content: .parts([.image(0)])),
        ]
        guard
            let rendered = try? chat.render(
                messages: messages + next, format: preparation.configuration.contentFormat,
                templateArguments: templateArguments, enableThinking: enablesThinking, now: now)
        else { return nil }
        let tokens = preparation.model.tokenizer.encode(rendered.text, addSpecialTokens: addsSpecialTokens)
        return tokens.firstIndex(of: imageToken).map { Array(tokens[...$0]) }
    }

    /// The answer as the client will send it back; nil if it ends the task, or tells of no agent.
    private func resent(_ content: String) -> String? {
        let step = AgentStep(content)
        if step.ends { return nil }
        // Only a client that puts answers together again ends them with a tag: the server sends none.
        if let lastAnswer { return AgentStep.isRebuilt(lastAnswer) ? step.rebuilt : content }
        return step.acts ? step.rebuilt : nil
    }
}
