import MartletCore

/// A token that is found by its text before anything else looks at the text.
package struct AddedToken: Sendable, Equatable {
    package let content: String
    package let id: TokenID
    /// A control token: `decode` can skip it, and untrusted text must not contain it (`Tokenizer.guarding`).
    package let isSpecial: Bool
    /// Takes the white space before it along.
    let stripsLeft: Bool
    /// Takes the white space after it along.
    let stripsRight: Bool
    /// Looked for after all tokens that are not normalised.
    let isNormalized: Bool

    init(
        content: String, id: TokenID, isSpecial: Bool, stripsLeft: Bool = false, stripsRight: Bool = false,
        isNormalized: Bool = false
    ) {
        self.content = content
        self.id = id
        self.isSpecial = isSpecial
        self.stripsLeft = stripsLeft
        self.stripsRight = stripsRight
        self.isNormalized = isNormalized
    }
}
