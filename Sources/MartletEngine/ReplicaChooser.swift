/// Which of several engines gets a request: a value without clock and thread, which never asks an engine, for that may
/// be in the middle of a step of a second. What an engine's prefix cache holds it guesses from what it has sent there.
///
/// The replica with the longest prefix of the prompt gets it, unless another is less busy by more tokens than the
/// longer prefix saves: then the least busy. Busy is counted in tokens that were sent and are not computed yet. Equals
/// take turns.
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
        let candidates = excluded.isEmpty ? Array(replicas.indices) : replicas.indices.filter { !excluded.contains($0) }
        guard let least = leastBusy(of: candidates) else { return nil }
        let (depth, holders) = longestPrefix(of: work.keys, among: candidates)
        var (chosen, cached) = (least, prefixLength(of: work.keys, at: least))
        if depth > cached, let preferred = leastBusy(of: holders) {
            let saved = (depth - cached) * blockSize
            if replicas[preferred].outstandingTokens - replicas[least].outstandingTokens <= saved {
                (chosen, cached) = (preferred, depth)
            }
        }
        let choice = Choice(
            replica: chosen, promptTokens: max(1, work.promptTokens - cached * blockSize),
            outputTokens: work.outputTokens)
        replicas[chosen].outstandingTokens += choice.promptTokens + choice.outputTokens
        replicas[chosen].keys.note(work.keys)
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
        let (depth, holders) = longestPrefix(of: keys, among: Array(replicas.indices))
        guard depth > 0, let chosen = leastBusy(of: holders) else { return nil }
        replicas[chosen].keys.note(keys)
        return chosen
    }

    /// Equals take turns, behind who was chosen last.
    private func leastBusy(of candidates: [Int]) -> Int? {
        candidates.min { left, right in
            let (first, second) = (replicas[left].outstandingTokens, replicas[right].outstandingTokens)
            return first == second ? turn(of: left) < turn(of: right) : first < second
        }
    }

    private func turn(of replica: Int) -> Int { (replica - last - 1 + replicas.count) % replicas.count }

    /// Blocks of the longest prefix, and who has it. Most replicas are passed over at one look.
    private func longestPrefix(of keys: [BlockKey], among candidates: [Int]) -> (depth: Int, holders: [Int]) {
        var depth = 0
        var holders: [Int] = []
        for candidate in candidates {
            if depth > 0, !replicas[candidate].keys.contains(keys[depth - 1]) { continue }
            var own = depth
            while own < keys.count, replicas[candidate].keys.contains(keys[own]) { own += 1 }
            if own > depth { (depth, holders) = (own, []) }
            holders.append(candidate)
        }
        return (depth, holders)
    }

    private func prefixLength(of keys: [BlockKey], at replica: Int) -> Int {
        keys.firstIndex { !replicas[replica].keys.contains($0) } ?? keys.count
    }
}
