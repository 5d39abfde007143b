/// Seeds for requests that bring none: a SplitMix64 sequence (Steele et al., 2014), so that a test can repeat it.
package struct SeedSource: Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    /// Begins where nobody can guess.
    package static func random() -> SeedSource {
        var system = SystemRandomNumberGenerator()
        return SeedSource(seed: system.next())
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
