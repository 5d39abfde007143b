import MartletCore

extension Tokenizer {
    /// A noncharacter that keeps text from being read as an added token: none matches across one, and `encode` then
    /// drops it. `<U+FDD0|user|>` is the seven characters, never the token.
    package static let guardScalar: Unicode.Scalar = Unicode.Scalar(UInt16(0xFDD0)) ?? "\0"

    /// `text`, which is not to be trusted, with a guard inside every occurrence of a control token, and where it ends
    /// within one, since the caller may put more text after it. Guards that it brought are removed. `<think>`,
    /// `</think>`, `<answer>` and `</answer>` stay tokens: the history of a chat holds them.
    package func guarding(_ text: String) -> String { Self.guarded(text, against: definition.guarded) }

    /// The same against control tokens of the caller's choice.
    package static func guarded(_ text: String, against tokens: [AddedToken]) -> String {
        guarded(text, against: AddedTokenMatcher(tokens))
    }

    private static func guarded(_ text: String, against matcher: AddedTokenMatcher) -> String {
        var text = text
        let output: [UInt8] = text.withUTF8 { text in
            LiteralGuard.removed(from: text).withUnsafeBufferPointer { LiteralGuard.inserted(into: $0, matcher) }
        }
        return String(decoding: output, as: UTF8.self)
    }
}

/// U+FDD0 in UTF-8.
enum LiteralGuard {
    static let bytes: [UInt8] = [0xEF, 0xB7, 0x90]

    static func isPresent(in text: UnsafeBufferPointer<UInt8>) -> Bool {
        var offset = 0
        while offset + 2 < text.count {
            if isHere(text, offset) { return true }
            offset += 1
        }
        return false
    }

    /// A guard ends where `range` starts.
    static func precedes(_ range: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> Bool {
        range.lowerBound >= 3 && isHere(text, range.lowerBound - 3)
    }

    static func removed(from text: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var offset = 0
        while offset < text.count {
            if offset + 2 < text.count && isHere(text, offset) {
                offset += 3
            } else {
                output.append(text[offset])
                offset += 1
            }
        }
        return output
    }

    /// `text` with a guard after the first scalar of everything that is one of the tokens, or begins one where the text
    /// ends; before a token that is a single scalar.
    static func inserted(into text: UnsafeBufferPointer<UInt8>, _ matcher: AddedTokenMatcher) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var offset = 0
        while offset < text.count {
            var end = offset + 1
            while end < text.count && text[end] & 0xC0 == 0x80 { end += 1 }
            let match = matcher.match(text, at: offset)
            if let match, match.end == end { output.append(contentsOf: bytes) }
            output.append(contentsOf: text[offset..<end])
            if match.map({ $0.end > end }) ?? false || matcher.isUnfinished(text, from: offset) {
                output.append(contentsOf: bytes)
            }
            offset = end
        }
        return output
    }

    private static func isHere(_ text: UnsafeBufferPointer<UInt8>, _ offset: Int) -> Bool {
        text[offset] == 0xEF && text[offset + 1] == 0xB7 && text[offset + 2] == 0x90
    }
}
