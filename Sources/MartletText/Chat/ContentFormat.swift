/// How a turn's content reaches the template: vLLM's `--chat-template-content-format`.
package enum ContentFormat: String, Sendable, CaseIterable {
    /// As the template wants it: lists for the roles whose branch reads lists, strings for the others.
    case auto
    /// One string a turn: image placeholders first, then the texts, joined by newlines. The official AutoGLM recipe,
    /// token for token.
    case string
    /// The list of parts as OpenAI sends it, so that the template decides; text-only lists of system and assistant
    /// turns are still strings, since templates of this family print them as Python lists.
    case openai
}
