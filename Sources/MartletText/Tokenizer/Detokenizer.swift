import MartletCore

/// Tokens to text, one token at a time. What it returns never changes later: bytes that may yet become a scalar wait
/// for the rest of it. All that it returned, joined, equals `Tokenizer.decode` of all its tokens.
package struct Detokenizer: Sendable {
    private let tokenizer: Tokenizer
    private let skipSpecialTokens: Bool
    private var pending: [UInt8] = []

    package init(tokenizer: Tokenizer, skipSpecialTokens: Bool) {
        self.tokenizer = tokenizer
        self.skipSpecialTokens = skipSpecialTokens
    }

    /// The text that `token` completes; "" if it completes none.
    package mutating func append(_ token: TokenID) -> String {
        if skipSpecialTokens && tokenizer.isSpecial(token) { return "" }
        pending.append(contentsOf: tokenizer.bytes(of: token))
        return flush(isFinal: false)
    }

    /// What is left: at most one U+FFFD. The detokenizer is as new afterwards.
    package mutating func finish() -> String { flush(isFinal: true) }

    private mutating func flush(isFinal: Bool) -> String {
        let (text, consumed) = pending.withUnsafeBufferPointer { UTF8Repair.repaired($0, isFinal: isFinal) }
        pending.removeFirst(consumed)
        return String(decoding: text, as: UTF8.self)
    }
}
