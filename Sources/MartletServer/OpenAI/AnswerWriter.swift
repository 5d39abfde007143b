import MartletCore

/// Turns the deltas of an answer into the bytes of one endpoint: chat or completions, streamed or whole.
protocol AnswerWriter: Sendable {
    /// Before the first token of choice `index`; nothing, where the endpoint has no opening.
    mutating func opening(choice index: Int, usage: Usage) -> [UInt8]
    /// One chunk.
    mutating func chunk(_ delta: ChoiceDelta, usage: Usage) -> [UInt8]
    /// The chunk after the last choice that carries only the usage.
    func usageChunk(_ usage: Usage) -> [UInt8]
    /// The whole answer: every choice's deltas, joined, in the order of their indices.
    func body(_ choices: [ChoiceDelta], usage: Usage) -> [UInt8]
}

extension JSONWriter {
    /// `"token_ids":[…]`
    mutating func tokenIDs(_ tokens: [TokenID]) {
        raw("\"token_ids\":[\(tokens.map(String.init).joined(separator: ","))]")
    }
}
