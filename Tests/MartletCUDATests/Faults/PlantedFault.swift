/// Something done wrong on purpose.
struct PlantedFault: Sendable, CustomStringConvertible {
    let description: String
    /// Does it, and tells whether anything was wrong with what came of it: an error, a complaint of the emulation, or
    /// values that the twin doesn't have.
    let isCaught: @Sendable () throws -> Bool

    init(_ description: String, _ isCaught: @escaping @Sendable () throws -> Bool) {
        self.description = description
        self.isCaught = isCaught
    }
}
