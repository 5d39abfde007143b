/// A conversation as text, ready to be encoded.
package struct ChatPrompt: Sendable, Equatable {
    /// The whole prompt, the prefilled text included. Each image is one placeholder, to be widened on token ids.
    package let text: String
    /// Which image each placeholder stands for, in order of appearance in `text`.
    package let imageOrder: [Int]
    /// What was put in the assistant's mouth and is not echoed: the end of `text`.
    package let prefilled: String
    /// Where the assistant's output begins: what the output parser has to know of the prompt.
    package let start: OutputStart
}

/// What the assistant's turn already holds when its first token is sampled.
package enum OutputStart: Sendable, Equatable {
    /// Nothing that matters.
    case fresh
    /// An open `<think>`: the first text is a thought.
    case thinking
    /// `<answer>` is open: what follows is the answer.
    case answering

    /// Reads it off the assistant's part of a prompt.
    package init(after text: some StringProtocol) {
        func last(_ tag: String) -> Int { Self.lastPosition(of: Array(tag.utf8), in: Array(text.utf8)) }
        let answer = last("<answer>")
        let think = last("<think>")
        if answer >= 0, answer > last("</answer>"), answer > think {
            self = .answering
        } else if think >= 0, think > last("</think>"), think > answer {
            self = .thinking
        } else {
            self = .fresh
        }
    }

    private static func lastPosition(of tag: [UInt8], in text: [UInt8]) -> Int {
        var position = text.count - tag.count
        while position >= 0, !text[position..<position + tag.count].elementsEqual(tag) { position -= 1 }
        return position
    }
}
