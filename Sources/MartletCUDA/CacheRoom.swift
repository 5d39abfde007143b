/// How much KV cache a GPU has room for (`--gpu-memory-utilization`), once weights, activations and working memory are
/// in place.
package struct CacheRoom: Sendable, Equatable {
    /// Of the device, in bytes, and what of it nobody holds now.
    package let total, free: Int
    /// Share of the whole that this program, and whoever else is there, may hold.
    package let utilization: Double

    package init(total: Int, free: Int, utilization: Double) {
        precondition((0...1).contains(utilization), "\(utilization) of the memory")
        (self.total, self.free, self.utilization) = (total, free, utilization)
    }

    /// Working memory that a step may still take when it first needs it, in bytes.
    package static let reserve = 256 << 20

    /// What a cache may take, in bytes.
    package var cacheBytes: Int { max(0, Int(Double(total) * utilization) - (total - free) - Self.reserve) }
}
