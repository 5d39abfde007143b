/// The text side of one choice: stop strings, thoughts and answer tags, in that order (stop strings see the raw
/// output). A value without clock or stream: pieces in, deltas out.
package struct CompletionAssembler: Sendable {
    package struct Options: Sendable {
        package var stops: [String] = []
        /// `include_stop_str_in_output`.
        package var includesStop = false
        package var reasoning = ReasoningMode.inContent
        /// The model marks its answers with `<answer>`; see `ChatRenderer.answerTags`.
        package var answerTags = false
        /// `ignore_eos`: `</answer>`, an end of generation by its text, is ignored with the others.
        package var ignoresAnswerEnd = false
        /// From the prompt: `ChatPrompt.start`.
        package var start = OutputStart.fresh

        package init() {}
    }

    /// Why the text is over before the model said so; the generation may be cancelled.
    package enum Ending: Sendable, Equatable {
        case stopString(String)
        /// `</answer>`.
        case answerClosed
    }

    private var stopMatcher: StopMatcher
    private var reasoningParser: ReasoningParser

    package init(_ options: Options) {
        stopMatcher = StopMatcher(stops: options.stops, includesStop: options.includesStop)
        reasoningParser = ReasoningParser(
            mode: options.reasoning, answerTags: options.answerTags, endsAtAnswer: !options.ignoresAnswerEnd,
            start: options.start)
    }

    /// Set by the piece that ended the text; both are `finish_reason: stop`.
    package var ending: Ending? {
        if reasoningParser.isAnswerClosed { return .answerClosed }
        return stopMatcher.found.map(Ending.stopString)
    }

    /// Takes the next stable text of the detokenizer and gives what may be sent now; at most one delta, none after the
    /// ending. A stop string's ending flushes what was held back.
    package mutating func append(_ piece: String) -> [CompletionDelta] {
        guard ending == nil else { return [] }
        var delta = reasoningParser.append(stopMatcher.append(piece))
        if stopMatcher.found != nil { delta += reasoningParser.finish() }
        return delta.isEmpty ? [] : [delta]
    }

    /// What was held back, when the generation is over.
    package mutating func finish() -> [CompletionDelta] {
        guard ending == nil else { return [] }
        let delta = reasoningParser.append(stopMatcher.finish()) + reasoningParser.finish()
        return delta.isEmpty ? [] : [delta]
    }
}

extension CompletionDelta {
    fileprivate static func + (left: Self, right: Self) -> Self {
        Self(content: left.content + right.content, reasoning: left.reasoning + right.reasoning)
    }

    fileprivate static func += (left: inout Self, right: Self) { left = left + right }
}
