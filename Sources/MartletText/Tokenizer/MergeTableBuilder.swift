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
        guard count <= MergeTable.maxCount else { throw faults.fault(faults.mergesField, "more than \(MergeTable.maxCount)") }
        table = MergeTable(capacity: count)
        self.vocabulary = vocabulary
        self.faults = faults
    }

    /// The next merge, as "left right".
    mutating func append(_ line: String) throws(TokenizerError) {
        let parts = line.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw faults.fault(faults.mergesField, "merge \(count) is not two tokens") }
        try append(String(line[parts[0].startIndex..<parts[0].endIndex]), String(line[parts[1].startIndex...]))
    }

    /// The next merge.
    mutating func append(_ left: String, _ right: String) throws(TokenizerError) {
        let leftToken = try token(left)
        let rightToken = try token(right)
        joined.removeAll(keepingCapacity: true)
        joined.append(contentsOf: vocabulary.bytes(of: leftToken))
        joined.append(contentsOf: vocabulary.bytes(of: rightToken))
        guard let result = joined.withUnsafeBufferPointer({ vocabulary.token($0) }) else {
            throw faults.fault(
                faults.mergesField, "merge \(count) makes \(TokenizerFile.quoted(left + right)), which is no token")
        }
        table.insert(left: leftToken, right: rightToken, rank: count, result: result)
        count += 1
    }

    private func token(_ spelling: String) throws(TokenizerError) -> TokenID {
        guard let token = vocabulary.token(spelled: spelling) else {
            throw faults.fault(faults.mergesField, "merge \(count) names \(TokenizerFile.quoted(spelling)), which is no token")
        }
        return token
    }
}
