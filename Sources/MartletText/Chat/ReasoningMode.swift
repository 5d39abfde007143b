/// Where thoughts go.
package enum ReasoningMode: Sendable, Equatable {
    /// They stay in the content, tags and all: what AutoGLM's clients parse (API.md 0.3).
    case inContent
    /// `<think>…</think>` becomes reasoning; the rest, without `<answer>`, becomes content.
    case separate
    /// As `separate`, and the reasoning is not told.
    case drop
}

/// A piece of the output as it is sent. Either string may be empty, not both.
package struct CompletionDelta: Sendable, Equatable {
    package var content: String
    package var reasoning: String

    package init(content: String = "", reasoning: String = "") {
        self.content = content
        self.reasoning = reasoning
    }

    package var isEmpty: Bool { content.isEmpty && reasoning.isEmpty }
}
