/// A size of parallelism that does not suit the model: which flag, why, and what would work.
package struct ParallelError: Error, Equatable, CustomStringConvertible {
    package let flag: String
    package let value: String
    /// "its 9 query heads cannot …", to stand behind a colon.
    package let reason: String
    /// Values of the flag that work with everything else as it is, ascending; empty where the reason says it all.
    package let sizes: [Int]

    package init(flag: String, value: String, reason: String, sizes: [Int] = []) {
        self.flag = flag
        self.value = value
        self.reason = reason
        self.sizes = sizes
    }

    package var description: String {
        let remedy = sizes.isEmpty ? "" : sizes.count == 1 ? " What works: \(list)." : " Sizes that work: \(list)."
        return "\(flag) \(value) does not suit this model: \(reason).\(remedy)"
    }

    /// `1, 3 and 9`; `1 to 40`.
    private var list: String {
        guard let first = sizes.first, let last = sizes.last, sizes.count > 1 else { return "\(sizes.first ?? 1)" }
        if sizes.count > 2, last - first == sizes.count - 1 { return "\(first) to \(last)" }
        return sizes.dropLast().map { "\($0)" }.joined(separator: ", ") + " and \(last)"
    }
}
