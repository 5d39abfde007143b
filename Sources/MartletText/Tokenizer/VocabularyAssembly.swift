import MartletCore

/// Brings the vocabulary of a file and its added tokens together.
struct VocabularyAssembly {
    let faults: TokenizerFaults

    /// The vocabulary of `spellings` (by id, nil = not in it). Throws for ids that neither it nor an added token uses,
    /// and for added tokens that the vocabulary knows under another id.
    func vocabulary(_ spellings: [String?], added: [AddedToken]) throws(TokenizerError) -> Vocabulary {
        var isUsed = spellings.map { $0 != nil }
        for token in added where Int(token.id) < isUsed.count { isUsed[Int(token.id)] = true }
        if let gap = isUsed.firstIndex(of: false) { throw faults.fault("model.vocab", "no token has id \(gap)") }
        let vocabulary = try Vocabulary(spellings: spellings, faults: faults)
        for token in added {
            if let id = vocabulary.token(spelled: token.content), id != token.id {
                throw faults.fault(
                    "added_tokens", "\(TokenizerFile.quoted(token.content)) has id \(token.id), but \(id) in the vocabulary")
            }
            if Int(token.id) < spellings.count, let spelling = spellings[Int(token.id)],
                !spelling.utf8.elementsEqual(token.content.utf8) {
                throw faults.fault("added_tokens", "id \(token.id) is another token in the vocabulary")
            }
        }
        return vocabulary
    }
}

/// Fills a merge table in order of rank.
struct MergeTableBuilder {
    private(set) var table: MergeTable
    /// Merges so far: the rank of the next.
    private(set) var count = 0
    private let vocabulary: Vocabulary
    private let faults: TokenizerFaults
    private var joined: [UInt8] = []

    init(count: Int, vocabulary: Vocabulary, faults: TokenizerFaults) throws(TokenizerError) {
        guard count <= MergeTable.maxCount else { throw faults.fault("model.merges", "more than \(MergeTable.maxCount)") }
        table = MergeTable(capacity: count)
        self.vocabulary = vocabulary
        self.faults = faults
    }

    /// The next merge, as "left right".
    mutating func append(_ line: String) throws(TokenizerError) {
        let parts = line.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw faults.fault("model.merges", "merge \(count) is not two tokens") }
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
                "model.merges", "merge \(count) makes \(TokenizerFile.quoted(left + right)), which is no token")
        }
        table.insert(left: leftToken, right: rightToken, rank: count, result: result)
        count += 1
    }

    private func token(_ spelling: String) throws(TokenizerError) -> TokenID {
        guard let token = vocabulary.token(spelled: spelling) else {
            throw faults.fault("model.merges", "merge \(count) names \(TokenizerFile.quoted(spelling)), which is no token")
        }
        return token
    }
}
