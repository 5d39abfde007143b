/// Which of several engines gets a request: a value without clock and thread, which never asks an engine, for that may
/// be in the middle of a step of a second. What an engine's prefix cache holds it guesses from what it has sent there.
///
/// The replica with the longest prefix of the prompt gets it (of several the one that had it last), unless another is
/// less busy by more tokens than the longer prefix saves: then the least busy. Busy is counted in tokens that were sent
/// and are not computed yet. Equals take turns.
package struct ReplicaChooser: Sendable {
    /// What a request is to those who compute it.
    package struct Work: Sendable {
        /// Keys of the prompt's full blocks; empty where nothing is cached.
        package var keys: [BlockKey]
        package var promptTokens: Int
        /// That all its choices may bring. Few come near what is allowed: more than `mostOutputTokens` a choice are not
        /// counted.
        package var outputTokens: Int

        package static let mostOutputTokens = 256

        package init(keys: [BlockKey], promptTokens: Int, maxTokens: Int, choiceCount: Int = 1) {
            self.keys = keys
            self.promptTokens = promptTokens
            outputTokens = max(1, choiceCount) * min(maxTokens, Self.mostOutputTokens)
        }
    }

    /// Where a request went, and the tokens that it is counted for there.
    package struct Choice: Sendable, Equatable {
        package let replica: Int
        /// Of the prompt, beyond the prefix.
        package let promptTokens: Int
        package let outputTokens: Int

        package init(replica: Int, promptTokens: Int, outputTokens: Int) {
            self.replica = replica
            self.promptTokens = promptTokens
            self.outputTokens = outputTokens
        }
    }

    private struct Replica {
        var keys: RecentKeys
        var outstandingTokens = 0
    }

    private let blockSize: Int
    private var replicas: [Replica]
    /// Who noted a key last, by its short hash, as long as it is remembered there: whoever looks for a prefix asks one
    /// table, however many replicas there are.
    private var owners: [UInt64: Int32] = [:]
    /// Who was chosen last.
    private var last: Int

    /// - Parameters:
    ///   - keyLimit: keys that are remembered of each replica: as many as it has blocks, and more are of no use.
    package init(replicaCount: Int, blockSize: Int, keyLimit: Int) {
        self.blockSize = blockSize
        replicas = Array(repeating: Replica(keys: RecentKeys(limit: keyLimit)), count: replicaCount)
        last = replicaCount - 1
    }

    package var replicaCount: Int { replicas.count }
    package func outstandingTokens(of replica: Int) -> Int { replicas[replica].outstandingTokens }
    /// Keys that are remembered, of all replicas.
    package var keyCount: Int { replicas.reduce(0) { $0 + $1.keys.count } }

    /// Sends `work` to a replica that is none of `excluded` (full, draining, dead); nil if there is no other.
    package mutating func choose(_ work: Work, excluding excluded: Set<Int> = []) -> Choice? {
        guard let least = leastBusy(excluding: excluded) else { return nil }
        var (chosen, cached) = (least, prefixLength(of: work.keys, at: least))
        if let (depth, preferred) = longestPrefix(of: work.keys, excluding: excluded), depth > cached {
            let saved = (depth - cached) * blockSize
            if replicas[preferred].outstandingTokens - replicas[least].outstandingTokens <= saved {
                (chosen, cached) = (preferred, depth)
            }
        }
        let choice = Choice(
            replica: chosen, promptTokens: max(1, work.promptTokens - cached * blockSize),
            outputTokens: work.outputTokens)
        replicas[chosen].outstandingTokens += choice.promptTokens + choice.outputTokens
        note(work.keys, at: chosen)
        last = chosen
        return choice
    }

    /// The prompt of what went to `choice` is computed.
    package mutating func notePrefilled(_ choice: Choice) {
        replicas[choice.replica].outstandingTokens -= choice.promptTokens
    }

    /// It has ended, or never began. `isPrefilled`: `notePrefilled` was called.
    package mutating func noteEnded(_ choice: Choice, isPrefilled: Bool) {
        replicas[choice.replica].outstandingTokens -= choice.outputTokens + (isPrefilled ? 0 : choice.promptTokens)
    }

    /// The replica that has the longest prefix of what begins with `keys`, and will have the rest; nil if none has any.
    package mutating func chooseAhead(_ keys: [BlockKey]) -> Int? {
        guard let (_, chosen) = longestPrefix(of: keys) else { return nil }
        note(keys, at: chosen)
        return chosen
    }

    private mutating func note(_ keys: [BlockKey], at replica: Int) {
        replicas[replica].keys.note(keys) { hash in
            if owners[hash] == Int32(replica) { owners[hash] = nil }
        }
        for key in keys.prefix(replicas[replica].keys.limit) { owners[key.shortHash] = Int32(replica) }
    }

    /// Equals take turns, behind who was chosen last.
    private func leastBusy(excluding excluded: Set<Int>) -> Int? {
        var found: Int?
        var least = Int.max
        for step in 1...replicas.count {
            let candidate = (last + step) % replicas.count
            if replicas[candidate].outstandingTokens < least, excluded.isEmpty || !excluded.contains(candidate) {
                (found, least) = (candidate, replicas[candidate].outstandingTokens)
            }
        }
        return found
    }

    /// Blocks of the longest prefix that anybody has, and who had it last; nil if nobody has a block.
    private func longestPrefix(
        of keys: [BlockKey], excluding excluded: Set<Int> = []
    ) -> (depth: Int, holder: Int)? {
        for index in keys.indices.reversed() {
            guard let owner = owners[keys[index].shortHash].map(Int.init), !excluded.contains(owner) else { continue }
            return (index + 1, owner)
        }
        return nil
    }

    private func prefixLength(of keys: [BlockKey], at replica: Int) -> Int {
        keys.firstIndex { !replicas[replica].keys.contains($0) } ?? keys.count
    }
}
