/// An answer as Open-AutoGLM's client reads it (API.md 3.2): thoughts up to the marker of an action, and the action;
/// it sends them back as one assistant turn (`rebuilt`), whatever tags stood in between.
package struct AgentStep: Sendable, Equatable {
    private let thoughts: String
    private let action: String
    /// It asks the phone for something.
    package let acts: Bool
    /// The task is over: no request follows.
    package let ends: Bool

    package init(_ answer: String) {
        ends = answer.contains("finish(message=")
        let marker = ends ? "finish(message=" : "do(action="
        if let place = answer.firstRange(of: marker)?.lowerBound {
            acts = !ends
            thoughts = PythonText.stripped(String(answer[..<place]), nil)
            action = String(answer[place...])
        } else if let tag = answer.firstRange(of: "<answer>") {
            acts = false
            let said = answer[..<tag.lowerBound].replacing("<think>", with: "").replacing("</think>", with: "")
            thoughts = PythonText.stripped(String(said), nil)
            action = String(answer[tag.upperBound...].replacing("</answer>", with: ""))
        } else {
            acts = false
            thoughts = ""
            action = answer
        }
    }

    /// The turn as the client keeps it in its history.
    package var rebuilt: String { "<think>\(thoughts)</think><answer>\(action)</answer>" }

    /// Whether a turn of a history was put together by such a client. No server sends the tag at its end.
    package static func isRebuilt(_ turn: String) -> Bool { turn.hasPrefix("<think>") && turn.hasSuffix("</answer>") }
}
