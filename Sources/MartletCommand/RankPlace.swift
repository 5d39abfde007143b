import MartletModels

/// Where a rank stands: what it holds, and what it computes on.
struct RankPlace: Sendable {
    let shard: Shard
    /// Among the ranks of this machine that are of its model, whatever their copy.
    let seat: Int
    /// Which copy of the model its ranks, threads of this process, make up; nil for a rank that is a process.
    let copy: Int?
    /// nil = as many as the machine has.
    let threads: Int?
    /// Where these stay; empty = anywhere.
    let processors: [Int]
}
