import Synchronization

/// What is left of every thread's share of a region: a thread takes its own from the front, and from the back of the
/// others' when it is done.
struct WorkShares: ~Copyable {
    private let shares: UnsafeMutablePointer<Share>
    private let count: Int
    /// From one share to the next, so that none lies in another's cache lines.
    private static let apart = 128 / MemoryLayout<Share>.stride

    /// Shares of `count` threads, all empty.
    init(count: Int) {
        self.count = count
        shares = .allocate(capacity: count * Self.apart)
        for index in 0..<count * Self.apart { (shares + index).initialize(to: Share()) }
    }

    deinit {
        shares.deinitialize(count: count * Self.apart)
        shares.deallocate()
    }

    /// Shares out 0..<total, in pieces of `grain`. No thread may be at work.
    func fill(_ total: Int, grain: Int) {
        let pieces = (total + grain - 1) / grain
        for index in 0..<count {
            let first = pieces * index / count * grain, last = pieces * (index + 1) / count * grain
            shares[index * Self.apart].fill(first..<min(last, total))
        }
    }

    /// Runs `body` on all of share `own`, and then on what others have not come to, up to `grain` at a time.
    func work(_ own: Int, grain: Int, _ body: (Range<Int>) -> Void) {
        while let range = shares[own * Self.apart].takeFirst(grain) { body(range) }
        for distance in 1..<count {
            let other = (own + distance) % count
            while let range = shares[other * Self.apart].takeLast(grain) { body(range) }
        }
    }
}

/// A range that is taken from both ends: its bounds in one word.
private struct Share: ~Copyable {
    private let bounds = Atomic<UInt64>(0)

    func fill(_ range: Range<Int>) {
        bounds.store(Self.word(range.lowerBound, range.upperBound), ordering: .releasing)
    }

    func takeFirst(_ count: Int) -> Range<Int>? {
        take { first, last in (first..<min(first + count, last), min(first + count, last)..<last) }
    }

    func takeLast(_ count: Int) -> Range<Int>? {
        take { first, last in (max(last - count, first)..<last, first..<max(last - count, first)) }
    }

    /// nil where nothing is left. `split`: what is taken, and what stays.
    private func take(_ split: (_ first: Int, _ last: Int) -> (taken: Range<Int>, left: Range<Int>)) -> Range<Int>? {
        var current = bounds.load(ordering: .acquiring)
        while true {
            let first = Int(current >> 32), last = Int(current & 0xFFFF_FFFF)
            guard first < last else { return nil }
            let (taken, left) = split(first, last)
            let (isTaken, seen) = bounds.weakCompareExchange(
                expected: current, desired: Self.word(left.lowerBound, left.upperBound),
                ordering: .acquiringAndReleasing)
            if isTaken { return taken }
            current = seen
        }
    }

    private static func word(_ first: Int, _ last: Int) -> UInt64 { UInt64(first) << 32 | UInt64(last) }
}
