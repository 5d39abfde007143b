/// A command line that cannot be followed: exit code 2, as argparse has it.
struct UsageError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    /// `flag` is known, and this version does not do it (D17). `reason` says what does, or will.
    static func notBuiltYet(_ flag: String, _ reason: String) -> UsageError {
        UsageError("--\(flag): not built yet: \(reason)")
    }
}
