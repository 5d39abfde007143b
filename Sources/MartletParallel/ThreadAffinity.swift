import CMartletKernels

/// Which processors a thread may run on.
package enum ThreadAffinity {
    /// The processors that this thread may use, ascending; empty where the system doesn't say.
    package static func processors() -> [Int] {
        let capacity = 1024
        return [Int32](unsafeUninitializedCapacity: capacity) { buffer, count in
            guard let start = buffer.baseAddress else { return }
            count = martlet_allowed_processors(start, capacity)
        }.map(Int.init)
    }

    /// Keeps the calling thread on `processors`; of no effect if there are none, or where the system refuses.
    package static func pin(to processors: [Int]) {
        guard !processors.isEmpty else { return }
        let processors = processors.map(Int32.init)
        _ = martlet_pin_thread(processors, processors.count)
    }

    /// Shares `processors` out over `rankCount` ranks, neighbours together; nothing for anyone where there are fewer
    /// processors than ranks: then nobody is pinned.
    package static func shares(of processors: [Int], over rankCount: Int) -> [[Int]] {
        let count = processors.count
        guard count >= rankCount else { return Array(repeating: [], count: rankCount) }
        return (0..<rankCount).map { rank in
            Array(processors[(count * rank / rankCount)..<(count * (rank + 1) / rankCount)])
        }
    }
}
