import MartletCore

/// The bytes of every token, and the token of every byte string. Both ways are tables over one flat array.
struct Vocabulary: Sendable {
    /// Larger ids are refused: they would size tables.
    static let maxTokenCount = 1 << 22

    /// Bytes of token `id` at `starts[id] ..< starts[id + 1]`.
    private var arena: [UInt8] = []
    private var starts: [UInt32] = [0]
    /// Open addressing over the bytes; -1 = free.
    private var slots: [TokenID]
    /// Token of every single byte, -1 if it has none.
    private(set) var byteTokens = [TokenID](repeating: -1, count: 256)
    /// Tokens whose spelling is not of the byte alphabet; no text is ever merged into one.
    private var unspelled: [[UInt8]: TokenID] = [:]
    private var unspelledTokens: Set<TokenID> = []

    /// Highest id + 1.
    var count: Int { starts.count - 1 }

    /// `spellings`: by id; nil where the id is an added token's alone. Throws two ids of one byte string.
    init(spellings: [String?], faults: TokenizerFaults) throws(TokenizerError) {
        var slotCount = 16
        while slotCount < 2 * spellings.count { slotCount *= 2 }
        slots = [TokenID](repeating: -1, count: slotCount)
        starts.reserveCapacity(spellings.count + 1)
        for (index, spelling) in spellings.enumerated() {
            let id = TokenID(truncatingIfNeeded: index)
            let isSpelled = spelling.map { ByteAlphabet.append($0.utf8, to: &arena) } ?? false
            if let spelling, !isSpelled { arena.append(contentsOf: spelling.utf8) }
            guard let end = UInt32(exactly: arena.count) else {
                throw faults.fault(faults.vocabularyField, "too many bytes")
            }
            starts.append(end)
            if isSpelled, let other = insert(id) {
                throw faults.fault(faults.vocabularyField, "ids \(other) and \(id) are the same token")
            }
            if let spelling, !isSpelled {
                guard unspelled.updateValue(id, forKey: Array(spelling.utf8)) == nil else {
                    throw faults.fault(faults.vocabularyField, "id \(id) repeats a token")
                }
                unspelledTokens.insert(id)
            }
        }
    }

    /// Enters `id` by its bytes; the token that has them already, if one does.
    private mutating func insert(_ id: TokenID) -> TokenID? {
        let range = range(of: id)
        if range.isEmpty { return nil }
        if range.count == 1 { byteTokens[Int(arena[range.lowerBound])] = id }
        return arena.withUnsafeBufferPointer { arena in
            let bytes = UnsafeBufferPointer(rebasing: arena[range])
            var slot = Self.hash(bytes) & (slots.count - 1)
            while slots[slot] >= 0 {
                if Self.equal(bytes, UnsafeBufferPointer(rebasing: arena[self.range(of: slots[slot])])) {
                    return slots[slot]
                }
                slot = (slot + 1) & (slots.count - 1)
            }
            slots[slot] = id
            return nil
        }
    }

    private func range(of id: TokenID) -> Range<Int> { Int(starts[Int(id)])..<Int(starts[Int(id) + 1]) }

    /// Bytes of `id`; empty for ids that are not here.
    func bytes(of id: TokenID) -> ArraySlice<UInt8> {
        id >= 0 && Int(id) < count ? arena[range(of: id)] : []
    }

    /// The vocabulary's own spelling of `id`.
    func spelling(of id: TokenID) -> String {
        let bytes = bytes(of: id)
        return unspelledTokens.contains(id) ? String(decoding: bytes, as: UTF8.self) : ByteAlphabet.spelling(of: bytes)
    }

    /// Token that stands for exactly `bytes`.
    func token(_ bytes: UnsafeBufferPointer<UInt8>) -> TokenID? {
        if bytes.count == 1 { return byteTokens[Int(bytes[0])] >= 0 ? byteTokens[Int(bytes[0])] : nil }
        return arena.withUnsafeBufferPointer { arena in
            var slot = Self.hash(bytes) & (slots.count - 1)
            while slots[slot] >= 0 {
                if Self.equal(bytes, UnsafeBufferPointer(rebasing: arena[range(of: slots[slot])])) {
                    return slots[slot]
                }
                slot = (slot + 1) & (slots.count - 1)
            }
            return nil
        }
    }

    /// Token of that spelling.
    func token(spelled spelling: String) -> TokenID? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(spelling.utf8.count)
        guard ByteAlphabet.append(spelling.utf8, to: &bytes) else { return unspelled[Array(spelling.utf8)] }
        return bytes.isEmpty ? nil : bytes.withUnsafeBufferPointer { token($0) }
    }

    /// Seeded by the process, so that no file can choose its collisions.
    private static func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
        return hasher.finalize()
    }

    private static func equal(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        for index in 0..<left.count where left[index] != right[index] { return false }
        return true
    }
}
