import MartletCore

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
