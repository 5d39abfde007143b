import MartletCore

/// The token that a backend chose last for a place: a row begins with it before anyone has read it (D3). Among the
/// tokens of `Backend.embed` it is a number below 0.
package enum KeptToken {
    /// What stands for the token kept at `place`.
    package static func input(at place: Int) -> TokenID { TokenID(-1 - place) }
    /// The place of the kept token that `input` stands for; nil where it is a token itself.
    package static func place(of input: TokenID) -> Int? { input < 0 ? -1 - Int(input) : nil }
}
