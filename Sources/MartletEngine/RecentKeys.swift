/// The block keys that were noted last, at most `limit` of them, by their short hashes: whoever reads it guesses. It is
/// a list over places, least recently noted first, and a table of where a key stands.
package struct RecentKeys: Sendable {
    package let limit: Int
    private var places: [UInt64: Int32] = [:]
    private var keys: [UInt64] = []
    private var older: [Int32] = []
    private var newer: [Int32] = []
    private var oldest: Int32 = -1
    private var newest: Int32 = -1

    /// - Parameter limit: at least 1.
    package init(limit: Int) { self.limit = max(1, min(limit, Int(Int32.max))) }

    package var count: Int { keys.count }

    package func contains(_ key: BlockKey) -> Bool { places[key.shortHash] != nil }

    /// Notes a chain from its end: a key is forgotten before those that it follows, so what is here of a chain is
    /// always its beginning. `forgotten` is told of keys, by their short hashes, that had to make room.
    package mutating func note(_ chain: [BlockKey], forgotten: (UInt64) -> Void = { _ in }) {
        for key in chain.prefix(limit).reversed() { note(key.shortHash, forgotten) }
    }

    private mutating func note(_ key: UInt64, _ forgotten: (UInt64) -> Void) {
        if let place = places[key] {
            unlink(place)
            link(place)
        } else if keys.count < limit {
            let place = Int32(keys.count)
            keys.append(key)
            older.append(-1)
            newer.append(-1)
            places[key] = place
            link(place)
        } else {
            let place = oldest
            places[keys[Int(place)]] = nil
            forgotten(keys[Int(place)])
            keys[Int(place)] = key
            places[key] = place
            unlink(place)
            link(place)
        }
    }

    /// Becomes the newest.
    private mutating func link(_ place: Int32) {
        older[Int(place)] = newest
        newer[Int(place)] = -1
        if newest >= 0 { newer[Int(newest)] = place } else { oldest = place }
        newest = place
    }

    private mutating func unlink(_ place: Int32) {
        let (before, after) = (older[Int(place)], newer[Int(place)])
        if before >= 0 { newer[Int(before)] = after } else { oldest = after }
        if after >= 0 { older[Int(after)] = before } else { newest = before }
    }
}
