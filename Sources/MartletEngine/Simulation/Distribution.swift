import Foundation

/// Any number of values of which percentiles are wanted, in little memory: buckets 1 % wide, each with the mean of what
/// fell into it. What is told of equal values is exact.
package struct Distribution: Sendable, Equatable {
    private var counts: [UInt64] = []
    private var sums: [Double] = []
    package private(set) var count: UInt64 = 0
    package private(set) var sum = 0.0
    package private(set) var maximum = 0.0

    /// Values below it share a bucket.
    private static let least = 1e-6
    private static let widthLog = log(1.01)

    package init() {}

    /// - Parameter value: not negative, and finite.
    package mutating func observe(_ value: Double) {
        let bucket = value < Self.least ? 0 : 1 + Int(log(value / Self.least) / Self.widthLog)
        if bucket >= counts.count {
            counts += repeatElement(0, count: bucket + 1 - counts.count)
            sums += repeatElement(0, count: bucket + 1 - sums.count)
        }
        counts[bucket] += 1
        sums[bucket] += value
        count += 1
        sum += value
        maximum = max(maximum, value)
    }

    package var mean: Double { count == 0 ? 0 : sum / Double(count) }

    /// The least value that `share` of all (0…1) do not exceed, within 1 %; 0 where there is none.
    package func percentile(_ share: Double) -> Double {
        let wanted = max(1, (share * Double(count)).rounded(.up))
        var seen = 0.0
        for (bucket, count) in counts.enumerated() where count > 0 {
            seen += Double(count)
            if seen >= wanted { return sums[bucket] / Double(count) }
        }
        return 0
    }
}
