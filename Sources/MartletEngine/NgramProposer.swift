import MartletCore

/// Guesses how a text goes on from what followed when its last tokens stood there before (prompt lookup). A guess
/// costs a row of a step, never a token: the model is asked about each.
///
/// The index is deflate's: a table of heads by the hash of a shortest match, each the start of a chain of places,
/// latest first. Every token is entered once, and a question looks at `candidateLimit` places at most, so that its
/// cost does not grow with the text.
package struct NgramProposer: Sendable {
    /// Most tokens of a guess now: twice what the last one had right, and one more. Where the text
    /// does not repeat itself, guessing stays cheap.
    package private(set) var reach: Int

    private let configuration: SpeculationConfiguration
    /// A place is where the token behind an n-gram stands. By hash, the latest; -1 is none.
    private var heads: [Int32] = []
    /// By place, the one before it in its chain. Its count is the next place to enter.
    private var earlier: [Int32] = []

    private static let headBits = 12
    private static let candidateLimit = 16

    package init(_ configuration: SpeculationConfiguration) {
        self.configuration = configuration
        reach = configuration.tokenCount
    }

    /// Up to `count` tokens that may follow `tokens`, which begin as they did in the last question. Empty if their end
    /// has not stood there before.
    package mutating func propose(after tokens: [TokenID], count: Int) -> [TokenID] {
        guard count > 0, tokens.count > configuration.shortestMatch else { return [] }
        enter(tokens)
        guard let place = bestPlace(in: tokens) else { return [] }
        var guess: [TokenID] = []
        for index in place..<place + min(count, reach) {
            // Past the end the guess reads itself: a text that repeats one token goes on repeating it.
            guess.append(index < tokens.count ? tokens[index] : guess[index - tokens.count])
        }
        return guess
    }

    /// What became of a guess.
    package mutating func learn(accepted: Int) {
        reach = min(configuration.tokenCount, 2 * accepted + 1)
    }

    private mutating func enter(_ tokens: [TokenID]) {
        if heads.isEmpty {
            heads = Array(repeating: -1, count: 1 << Self.headBits)
            earlier = Array(repeating: -1, count: configuration.shortestMatch)
        }
        for place in earlier.count..<tokens.count {
            let head = head(of: tokens, before: place)
            earlier.append(heads[head])
            heads[head] = Int32(truncatingIfNeeded: place)
        }
    }

    /// The latest of the places with the longest match, up to `longestMatch`.
    private func bestPlace(in tokens: [TokenID]) -> Int? {
        var best: Int?
        var longest = configuration.shortestMatch - 1
        var candidate = heads[head(of: tokens, before: tokens.count)]
        for _ in 0..<Self.candidateLimit {
            guard candidate >= 0, longest < configuration.longestMatch else { break }
            let place = Int(candidate)
            let length = matchLength(in: tokens, before: place)
            if length > longest { (best, longest) = (place, length) }
            candidate = earlier[place]
        }
        return best
    }

    /// Tokens before `place` that are those at the end.
    private func matchLength(in tokens: [TokenID], before place: Int) -> Int {
        var length = 0
        while length < min(configuration.longestMatch, place),
            tokens[place - 1 - length] == tokens[tokens.count - 1 - length]
        {
            length += 1
        }
        return length
    }

    /// FNV-1a over the n-gram's ids, spread by Fibonacci's multiplier. Unequal n-grams may share a chain.
    private func head(of tokens: [TokenID], before place: Int) -> Int {
        var hash: UInt32 = 0x811C_9DC5
        for token in tokens[(place - configuration.shortestMatch)..<place] {
            hash = (hash ^ UInt32(bitPattern: token)) &* 0x0100_0193
        }
        return Int((hash &* 0x9E37_79B9) >> UInt32(32 - Self.headBits))
    }
}
