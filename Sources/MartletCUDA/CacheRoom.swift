/// How much KV cache a GPU has room for (`--gpu-memory-utilization`), once weights, activations and working memory are
/// in place.
package struct CacheRoom: Sendable, Equatable {
    /// Of the device, in bytes, and what of it nobody holds now.
    package let total, free: Int
    /// Share of the whole that this program, and whoever else is there, may hold.
    package let utilization: Double
    /// Ranks that compute there.
    package let rankCount: Int

    package init(total: Int, free: Int, utilization: Double, rankCount: Int = 1) {
        precondition((0...1).contains(utilization), "\(utilization) of the memory")
        (self.total, self.free, self.utilization, self.rankCount) = (total, free, utilization, rankCount)
    }

    /// Working memory that every rank has from the start, in bytes.
    package static let workspace = DenseProducts.workspaceBytes + Staging.mirrorBytes
    /// Working memory that a step of one rank may still take when it first needs it, in bytes; pictures come on top.
    package static let reserve = 256 << 20

    /// What the caches of all ranks may take together, in bytes.
    package var cacheBytes: Int {
        max(0, Int(Double(total) * utilization) - (total - free) - rankCount * Self.reserve)
    }
}
