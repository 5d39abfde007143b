/// Splits output into thoughts and content while it streams (MODEL.md 5.4).
///
/// - `<think>` opens the thought, `</think>` closes it, once; later ones are text.
/// - `<answer>` opens the answer, once, wherever it stands: it also closes a thought that was left open.
/// - `</answer>` is never emitted and ends the text; a client takes anything after an action for its end (API.md 0.2).
///   Where the end of generation is ignored it is text.
/// - White space next to a tag belongs to no one: it is dropped where thoughts are taken out.
/// - In mode `inContent` everything but `</answer>` passes as it is.
///
/// Tags may be cut at any byte; the concatenated deltas do not depend on where.
package struct ReasoningParser: Sendable {
    private enum Tag: Int, CaseIterable {
        case openThink, closeThink, openAnswer, closeAnswer

        var text: String {
            switch self {
            case .openThink: "<think>"
            case .closeThink: "</think>"
            case .openAnswer: "<answer>"
            case .closeAnswer: "</answer>"
            }
        }
    }

    private enum State { case beforeThought, inThought, afterThought, inAnswer, ended }

    private let mode: ReasoningMode
    private let answerTags: Bool
    private let endsAtAnswer: Bool
    private var state: State
    private var matcher = TextMatcher(Tag.allCases.map(\.text))
    /// Bytes that may be the beginning of a tag.
    private var held: [UInt8] = []
    /// White space that is emitted only if text follows it.
    private var space: [UInt8] = []
    /// White space is dropped until text comes: a tag was just before it.
    private var isAfterTag = false

    /// - Parameters:
    ///   - answerTags: the model marks its answer (GLM-4.1V and its kin); else `<answer>` and `</answer>` are text.
    ///   - endsAtAnswer: `</answer>` ends the text; false under `ignore_eos`.
    ///   - start: what the prompt left open.
    package init(mode: ReasoningMode, answerTags: Bool, endsAtAnswer: Bool = true, start: OutputStart = .fresh) {
        self.mode = mode
        self.answerTags = answerTags
        self.endsAtAnswer = endsAtAnswer
        state =
            switch start {
            case .fresh: .beforeThought
            case .thinking: .inThought
            case .answering: .inAnswer
            }
        isAfterTag = mode != .inContent && start != .fresh
    }

    /// `</answer>` came: the text is over and the generation may be cancelled.
    package var isAnswerClosed: Bool { state == .ended }

    package mutating func append(_ piece: String) -> CompletionDelta {
        var delta = Delta()
        for byte in piece.utf8 {
            guard state != .ended else { break }
            held.append(byte)
            if let index = matcher.step(byte), let tag = Tag(rawValue: index) {
                meet(tag, &delta)
            } else {
                emit(held.count - matcher.heldCount, &delta)
            }
        }
        return told(delta)
    }

    /// What was held back, when no more text comes.
    package mutating func finish() -> CompletionDelta {
        var delta = Delta()
        guard state != .ended else { return told(delta) }
        emit(held.count, &delta)
        // Trailing space of an answer is the model's; of a thought, no one's.
        if state != .inThought { delta.content += space }
        space = []
        return told(delta)
    }

    private struct Delta {
        var content: [UInt8] = []
        var reasoning: [UInt8] = []
    }

    private func told(_ delta: Delta) -> CompletionDelta {
        CompletionDelta(
            content: String(decoding: delta.content, as: UTF8.self),
            reasoning: mode == .drop ? "" : String(decoding: delta.reasoning, as: UTF8.self))
    }

    /// A whole tag stands at the end of `held`.
    private mutating func meet(_ tag: Tag, _ delta: inout Delta) {
        let next = state(after: tag)
        guard let next else { return emit(held.count - matcher.heldCount, &delta) }
        emit(held.count - tag.text.utf8.count, &delta)
        if mode == .inContent, tag != .closeAnswer {
            emit(held.count, &delta)
        } else {
            held = []
            space = []
            isAfterTag = mode != .inContent
        }
        matcher.reset()
        state = next
    }

    /// Nil if the tag is plain text here.
    private func state(after tag: Tag) -> State? {
        switch (tag, state) {
        case (.openThink, .beforeThought): .inThought
        case (.closeThink, .beforeThought), (.closeThink, .inThought): .afterThought
        case (.openAnswer, .beforeThought), (.openAnswer, .inThought), (.openAnswer, .afterThought):
            answerTags ? .inAnswer : nil
        case (.closeAnswer, _): answerTags && endsAtAnswer ? .ended : nil
        default: nil
        }
    }

    /// Moves the first `count` bytes of `held` to where the state sends them.
    private mutating func emit(_ count: Int, _ delta: inout Delta) {
        guard count > 0 else { return }
        defer { held.removeFirst(count) }
        guard mode != .inContent else {
            delta.content += held.prefix(count)
            return
        }
        for byte in held.prefix(count) {
            if byte == 0x20 || (0x09...0x0D).contains(byte) {
                if !isAfterTag { space.append(byte) }
                continue
            }
            isAfterTag = false
            if state == .inThought { delta.reasoning += space } else { delta.content += space }
            if state == .inThought { delta.reasoning.append(byte) } else { delta.content.append(byte) }
            space = []
        }
    }
}
