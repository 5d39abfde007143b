import MartletCore

/// Which encoded images the runner holds: one per content, whatever the number of requests that show it. Counts
/// tokens against a budget; images that nobody uses stay until the room is needed, oldest first.
package struct EncoderCache {
    private struct Entry {
        let id: ImageID
        let tokenCount: Int
        let unitCount: Int
        /// Units that launched plans have been given.
        var plannedUnits = 0
        var userCount = 0
        var lastUse: UInt64 = 0

        var isHalfPlanned: Bool { plannedUnits > 0 && plannedUnits < unitCount }
    }

    package let tokenBudget: Int
    /// Images that may be half planned at once.
    package let encodingCount: Int
    private var entries: [Digest: Entry] = [:]
    private var hashes: [ImageID: Digest] = [:]
    private var nextID: ImageID = 1
    private var useCount: UInt64 = 0
    package private(set) var residentTokens = 0
    /// Images that left; the next plan tells the runner.
    package private(set) var pendingReleases: [ImageID] = []
    /// Images that came; the runner gets their pixels before the plan.
    package private(set) var pendingRegistrations: [ImageRegistration] = []

    package init(tokenBudget: Int, encodingCount: Int = 1) {
        self.tokenBudget = tokenBudget
        self.encodingCount = encodingCount
    }

    package var count: Int { entries.count }
    package var usedCount: Int { entries.values.count { $0.userCount > 0 } }

    /// Whether `acquire` of all of them would stay within the budget.
    package func canAcquire(_ images: [SequenceImage]) -> Bool {
        let wanted = Dictionary(images.map { ($0.hash, $0.tokenCount) }) { first, _ in first }
        let kept = entries.reduce(0) {
            $0 + ($1.value.userCount > 0 || wanted[$1.key] != nil ? $1.value.tokenCount : 0)
        }
        return kept + wanted.reduce(0) { $0 + (entries[$1.key] == nil ? $1.value : 0) } <= tokenBudget
    }

    package func contains(_ hash: Digest) -> Bool { entries[hash] != nil }

    /// One more user of the image; its units are planned after this. The budget is kept by evicting what nobody uses.
    package mutating func acquire(_ image: SequenceImage) -> ImageID {
        useCount += 1
        if var entry = entries[image.hash] {
            entry.userCount += 1
            entry.lastUse = useCount
            entries[image.hash] = entry
            return entry.id
        }
        evict(room: image.tokenCount)
        let id = makeID()
        entries[image.hash] = Entry(
            id: id, tokenCount: image.tokenCount, unitCount: image.unitCount, userCount: 1, lastUse: useCount)
        hashes[id] = image.hash
        residentTokens += image.tokenCount
        pendingRegistrations.append(ImageRegistration(id: id, image: image.image))
        return id
    }

    /// An id for an image that no row will ask for: its span is wholly cached KV. The runner never gets its pixels.
    package mutating func makeID() -> ImageID {
        defer { nextID += 1 }
        return nextID
    }

    /// One user less. A finished encoding stays for the next request; a begun one goes.
    package mutating func release(_ id: ImageID) {
        guard let hash = hashes[id], var entry = entries[hash], entry.userCount > 0 else { return }
        entry.userCount -= 1
        entries[hash] = entry
        if entry.userCount == 0, entry.plannedUnits < entry.unitCount { remove(hash) }
    }

    /// Units that no plan has been given yet; empty when the embeddings are there (or on their way, in order).
    package func remainingUnits(of id: ImageID) -> Range<Int> {
        guard let hash = hashes[id], let entry = entries[hash] else { return 0..<0 }
        return entry.plannedUnits..<entry.unitCount
    }

    /// Whether units of the image may be planned now: no more than `encodingCount` images are half done at a time.
    package func mayPlan(_ id: ImageID) -> Bool {
        guard let hash = hashes[id], let entry = entries[hash] else { return false }
        return entry.isHalfPlanned || entries.values.count(where: \.isHalfPlanned) < encodingCount
    }

    package mutating func plan(units: Range<Int>, of id: ImageID) {
        guard let hash = hashes[id] else { return }
        entries[hash]?.plannedUnits = units.upperBound
    }

    /// A step that worked on it failed: what the runner holds of it is unknown and goes, whoever uses it.
    package mutating func invalidate(_ id: ImageID) {
        if let hash = hashes[id] { remove(hash) }
    }

    package mutating func takeReleases() -> [ImageID] {
        defer { pendingReleases = [] }
        return pendingReleases
    }

    package mutating func takeRegistrations() -> [ImageRegistration] {
        defer { pendingRegistrations = [] }
        return pendingRegistrations
    }

    /// A plan that named them failed: say it again.
    package mutating func restore(releases: [ImageID]) { pendingReleases.insert(contentsOf: releases, at: 0) }

    private mutating func evict(room: Int) {
        while residentTokens + room > tokenBudget {
            let unused = entries.filter { $0.value.userCount == 0 }
            guard let oldest = unused.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return }
            remove(oldest.key)
        }
    }

    private mutating func remove(_ hash: Digest) {
        guard let entry = entries.removeValue(forKey: hash) else { return }
        hashes[entry.id] = nil
        residentTokens -= entry.tokenCount
        if let unsent = pendingRegistrations.firstIndex(where: { $0.id == entry.id }) {
            pendingRegistrations.remove(at: unsent)
        } else {
            pendingReleases.append(entry.id)
        }
    }
}
