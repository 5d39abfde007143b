import MartletCore

/// Which two neighbours become which token, and how urgently.
struct MergeTable: Sendable {
    /// A merge's rank in the high half, the token it makes in the low one: the smaller value goes first.
    typealias Merge = UInt64
    /// No merge.
    static let none = Merge.max
    /// More merges are refused.
    static let maxCount = 1 << 23

    private var keys: [UInt64]
    private var merges: [Merge]
    private let mask: Int
    /// Drawn by the process, so that no file can choose its collisions.
    private static let seed = UInt64.random(in: .min ... .max)

    /// Room for `count` merges.
    init(capacity count: Int) {
        var slotCount = 16
        while slotCount < 2 * count { slotCount *= 2 }
        keys = [UInt64](repeating: .max, count: slotCount)
        merges = [Merge](repeating: Self.none, count: slotCount)
        mask = slotCount - 1
    }

    /// Enters a merge. The table was made with room for it. Of two for one pair the later counts.
    mutating func insert(left: TokenID, right: TokenID, rank: Int, result: TokenID) {
        let key = Self.key(left, right)
        var slot = Self.slot(key) & mask
        while keys[slot] != .max && keys[slot] != key { slot = (slot + 1) & mask }
        keys[slot] = key
        merges[slot] = UInt64(truncatingIfNeeded: rank) << 32 | UInt64(UInt32(bitPattern: result))
    }

    /// The merge of two neighbours.
    @inline(__always)
    func merge(_ left: TokenID, _ right: TokenID) -> Merge {
        let key = Self.key(left, right)
        var slot = Self.slot(key) & mask
        while keys[slot] != .max {
            if keys[slot] == key { return merges[slot] }
            slot = (slot + 1) & mask
        }
        return Self.none
    }

    /// Token that `merge` makes.
    @inline(__always)
    static func result(of merge: Merge) -> TokenID { TokenID(truncatingIfNeeded: merge) }

    @inline(__always)
    private static func key(_ left: TokenID, _ right: TokenID) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    /// The finaliser of SplitMix64 over the seeded key.
    @inline(__always)
    private static func slot(_ key: UInt64) -> Int {
        var bits = key ^ seed
        bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
        return Int(truncatingIfNeeded: bits ^ bits >> 31)
    }
}
