import MartletCore

/// What one event of the engine adds to one choice, as text.
struct ChoiceDelta: Sendable, Equatable {
    var index: Int
    var content = ""
    /// Thoughts, where they are kept apart from the content.
    var reasoning = ""
    /// One entry a token, when log-probabilities were asked for.
    var logprobs: [TokenRecord] = []
    /// When token ids were asked for.
    var tokenIDs: [TokenID] = []
    /// Set on the last delta of a choice.
    var ending: Ending?

    /// Joins a later delta of the same choice.
    mutating func append(_ later: ChoiceDelta) {
        content += later.content
        reasoning += later.reasoning
        logprobs += later.logprobs
        tokenIDs += later.tokenIDs
        ending = ending ?? later.ending
    }

    /// Nothing a client would see.
    var isSilent: Bool {
        content.isEmpty && reasoning.isEmpty && logprobs.isEmpty && tokenIDs.isEmpty && ending == nil
    }
}

/// Why a choice is complete, in OpenAI's words.
struct Ending: Sendable, Equatable {
    enum Cause: Sendable, Equatable {
        /// The model's own end, or the length limit: `stop_reason` is null.
        case natural
        case stopString(String)
        case stopToken(TokenID)
    }

    /// `stop` or `length`.
    var finishReason: String
    var cause: Cause

    /// `"finish_reason":…,"stop_reason":…`
    func write(into writer: inout JSONWriter) {
        writer.raw("\"finish_reason\":\"\(finishReason)\",\"stop_reason\":")
        switch cause {
        case .natural: writer.raw("null")
        case .stopString(let text): writer.string(text)
        case .stopToken(let token): writer.raw("\(token)")
        }
    }
}
