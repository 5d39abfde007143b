import MartletCore

/// A request as a trace tells it: how much it is, and what it has in common with others. Its prompt is, in this order,
/// the beginning of a shared prefix, the beginning of a conversation, a picture, and tokens that nobody else has.
package struct SimulatedRequest: Sendable, Equatable {
    /// Seconds since the beginning of the simulation.
    package var arrival = 0.0
    /// Of the whole prompt, the picture's among them.
    package var promptTokens: Int
    package var outputTokens: Int
    /// Names a prefix that others may begin with, and how much of it this one has.
    package var prefix: UInt64 = 0
    package var prefixTokens = 0
    /// Names a conversation.
    package var conversation: UInt64 = 0
    package var conversationTokens = 0
    /// What is answered belongs to the conversation: the next turn repeats it as it stands.
    package var keepsAnswer = false
    package var imageTokens = 0
    /// Who sent it, to those who send.
    package var sender = 0

    package init(promptTokens: Int, outputTokens: Int) {
        self.promptTokens = promptTokens
        self.outputTokens = outputTokens
    }

    /// Tokens that others may have computed: in front of the picture.
    package var sharedTokens: Int { prefixTokens + conversationTokens }

    /// `number` tells it from all others. Tokens are below `vocabularyCount`.
    func prompt(number: UInt64, vocabularyCount: Int) -> Prompt {
        var tokens: [TokenID] = []
        tokens.reserveCapacity(promptTokens)
        let streams = [
            (TokenStream(.prefix, prefix), prefixTokens),
            (TokenStream(.conversation, conversation), conversationTokens),
            (TokenStream(.picture, 0), imageTokens),
            (TokenStream(.request, number), promptTokens - sharedTokens - imageTokens),
        ]
        for (stream, count) in streams {
            for index in 0..<max(0, count) { tokens.append(stream.token(at: index, below: vocabularyCount)) }
        }
        guard imageTokens > 0 else { return Prompt(tokens: tokens) }
        let image = Self.picture(number, tokens: imageTokens)
        return Prompt(tokens: tokens, images: [PlacedImage(image: image, offset: sharedTokens)])
    }

    /// The `index`-th token of the answer.
    func answer(at index: Int, number: UInt64, vocabularyCount: Int) -> TokenID {
        if keepsAnswer {
            let stream = TokenStream(.conversation, conversation)
            return stream.token(at: conversationTokens + index, below: vocabularyCount)
        }
        return TokenStream(.answer, number).token(at: index, below: vocabularyCount)
    }

    /// A picture that differs from all others, with a pixel a token: nobody encodes it.
    private static func picture(_ number: UInt64, tokens: Int) -> PreparedImage {
        var rgb = [UInt8](repeating: 0, count: tokens * 3)
        for index in 0..<min(8, rgb.count) { rgb[index] = UInt8(truncatingIfNeeded: number >> UInt64(8 * index)) }
        return PreparedImage(
            width: tokens, height: 1, originalWidth: tokens, originalHeight: 1, rgb: rgb, patchSize: 1, mergeSize: 1,
            mean: .zero, deviation: .one)
    }
}

/// Tokens without end: the same for the same name.
private struct TokenStream {
    enum Kind: UInt64 {
        case prefix = 1, conversation, picture, request, answer
    }

    private let seed: UInt64

    init(_ kind: Kind, _ name: UInt64) { seed = Self.mixed(Self.mixed(name) ^ kind.rawValue) }

    func token(at index: Int, below bound: Int) -> TokenID {
        TokenID(((Self.mixed(seed &+ UInt64(index)) >> 33) * UInt64(bound)) >> 31)
    }

    /// The finaliser of SplitMix64.
    private static func mixed(_ value: UInt64) -> UInt64 {
        var value = value &+ 0x9E37_79B9_7F4A_7C15
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
