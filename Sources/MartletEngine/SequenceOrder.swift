/// Who goes first: the lower priority value, then the earlier arrival, then the lower choice.
package struct SequenceOrder: Comparable, Sendable {
    package let priority: Int
    package let arrival: UInt64
    package let choice: Int

    package static func < (left: Self, right: Self) -> Bool {
        (left.priority, left.arrival, left.choice) < (right.priority, right.arrival, right.choice)
    }
}
