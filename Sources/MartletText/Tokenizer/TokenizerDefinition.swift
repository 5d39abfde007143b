import MartletCore

/// What a tokenizer is, whichever file said it. Immutable and shared.
final class TokenizerDefinition: Sendable {
    let vocabulary: Vocabulary
    let merges: MergeTable
    let preTokenizer: PreTokenizer
    let ignoresMerges: Bool
    /// Stands for bytes that are no token.
    let unknown: TokenID?
    /// What `addSpecialTokens` puts around the text.
    let prefix: [TokenID]
    let suffix: [TokenID]
    let addedTokens: [AddedToken]
    let names: SpecialTokenNames
    /// Highest id + 1, added tokens included.
    let count: Int

    /// Added tokens in the order in which they are looked for: first those that are not normalised.
    let matchers: [AddedTokenMatcher]
    /// The special ones that untrusted text must not contain.
    let guarded: AddedTokenMatcher
    /// Index into `addedTokens`.
    private let addedByID: [TokenID: Int]
    /// By UTF-8: two strings are one token only if their bytes are equal.
    private let addedByContent: [[UInt8]: TokenID]

    /// The tokens that chats write themselves, in assistant turns of the history.
    private static let neverGuarded: Set<String> = ["<think>", "</think>", "<answer>", "</answer>"]

    init(
        vocabulary: Vocabulary, merges: MergeTable, preTokenizer: PreTokenizer, ignoresMerges: Bool,
        unknown: TokenID?, prefix: [TokenID], suffix: [TokenID], addedTokens: [AddedToken], names: SpecialTokenNames
    ) {
        self.vocabulary = vocabulary
        self.merges = merges
        self.preTokenizer = preTokenizer
        self.ignoresMerges = ignoresMerges
        self.unknown = unknown
        self.prefix = prefix
        self.suffix = suffix
        self.addedTokens = addedTokens
        self.names = names
        count = max(vocabulary.count, (addedTokens.map { Int($0.id) }.max() ?? -1) + 1)
        matchers = [false, true].map { normalized in
            AddedTokenMatcher(addedTokens.filter { $0.isNormalized == normalized })
        }
        guarded = AddedTokenMatcher(
            addedTokens.filter { $0.isSpecial && !Self.neverGuarded.contains($0.content) })
        addedByID = Dictionary(addedTokens.enumerated().map { ($1.id, $0) }) { first, _ in first }
        addedByContent = Dictionary(addedTokens.map { (Array($0.content.utf8), $0.id) }) { first, _ in first }
    }

    func added(_ id: TokenID) -> AddedToken? { addedByID[id].map { addedTokens[$0] } }

    func added(content: String) -> TokenID? { addedByContent[Array(content.utf8)] }
}

/// The tokens that files name by their role.
struct SpecialTokenNames: Sendable {
    var bos: TokenID?
    var eos: TokenID?
    var endOfTurn: TokenID?
    var padding: TokenID?
}
