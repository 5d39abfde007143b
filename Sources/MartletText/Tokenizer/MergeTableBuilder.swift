import MartletCore

/// Fills a merge table in order of rank.
struct MergeTableBuilder {
    private(set) var table: MergeTable
    /// Merges so far: the rank of the next.
    private(set) var count = 0
    private let vocabulary: Vocabulary
    private let faults: TokenizerFaults
    private var joined: [UInt8] = []

    init(count: Int, vocabulary: Vocabulary, faults: TokenizerFaults) throws(TokenizerError) {
        guard count <= MergeTable.maxCount else {
            throw faults.fault(faults.mergesField, "more than \(MergeTable.maxCount)")
        }
        table = MergeTable(capacity: count)
        self.vocabulary = vocabulary
        self.faults = faults
    }

    /// The next merge, as "left right".
    mutating func append(_ line: String) throws(TokenizerError) {
        let units = line.utf8
        guard let space = units.firstIndex(of: UInt8(ascii: " ")) else {
            throw faults.fault(faults.mergesField, "merge \(count) is not two tokens")
        }
        try append(line[..<space], line[units.index(after: space)...])
    }

    /// The next merge.
    mutating func append(_ left: some StringProtocol, _ right: some StringProtocol) throws(TokenizerError) {
        joined.removeAll(keepingCapacity: true)
        let isLeftSpelled = ByteAlphabet.append(left.utf8, to: &joined)
        let cut = joined.count
        let isRightSpelled = ByteAlphabet.append(right.utf8, to: &joined)
        let tokens = joined.withUnsafeBufferPointer { joined in
            (
                left: isLeftSpelled ? vocabulary.token(UnsafeBufferPointer(rebasing: joined[..<cut])) : nil,
                right: isRightSpelled ? vocabulary.token(UnsafeBufferPointer(rebasing: joined[cut...])) : nil,
                whole: vocabulary.token(joined)
            )
        }
        guard let leftToken = tokens.left else { throw unknown(String(left)) }
        guard let rightToken = tokens.right else { throw unknown(String(right)) }
        guard let whole = tokens.whole else { throw unknown(String(left) + String(right)) }
        table.insert(left: leftToken, right: rightToken, rank: count, result: whole)
        count += 1
    }

    private func unknown(_ spelling: String) -> TokenizerError {
        faults.fault(
            faults.mergesField, "merge \(count) needs \(TokenizerFile.quoted(spelling)), which is no token")
    }
}
