/// A block as its holder knows it. The generation changes whenever the block becomes free, so that a release that
/// comes twice or too late is detected instead of lucky.
package struct BlockHandle: Hashable, Sendable {
    package let id: BlockID
    package let generation: UInt32
}
