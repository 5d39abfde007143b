import MartletModels
import MartletTensor
import Synchronization

/// The weights that the copies of a model in one process have in common (D14): each rank's part is read by the first
/// copy, and what the others multiply with is the same memory.
///
/// `@unchecked Sendable`: what it gives out is written before it is kept, and only read from then on.
final class SharedWeights<B: Backend>: @unchecked Sendable {
    /// What one rank multiplies with.
    struct Part {
        let decoder: DecoderWeights<B>
        let vision: VisionWeights<B>?
    }

    private struct Key: Hashable {
        let stage, tensorRank: Int
    }

    private let lock = Mutex(())
    private var parts: [Key: Part] = [:]

    /// The part that `shard` names, from `load` where it is asked for first. Copies ask one after the other, the ranks
    /// of a copy at once.
    func part(of shard: Shard, load: () throws -> Part) throws -> Part {
        let key = Key(stage: shard.stage, tensorRank: shard.tensorRank)
        if let known = lock.withLock({ _ in parts[key] }) { return known }
        let part = try load()
        lock.withLock { _ in parts[key] = part }
        return part
    }
}
