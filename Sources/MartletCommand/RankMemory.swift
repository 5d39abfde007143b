/// Memory that ranks keep their weights and KV caches in: a machine's, or a GPU's.
struct RankMemory: Sendable, Equatable {
    /// The ranks that do, among those of this machine.
    let seats: [Int]
    let total: Int
    /// In bytes, once whatever anybody holds is taken off.
    var available: Int
}
