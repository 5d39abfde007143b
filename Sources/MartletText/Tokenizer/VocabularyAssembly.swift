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
                let name = TokenizerFile.quoted(token.content)
                throw faults.fault("added_tokens", "\(name) has id \(token.id), but \(id) in the vocabulary")
            }
            if Int(token.id) < spellings.count, let spelling = spellings[Int(token.id)],
                !spelling.utf8.elementsEqual(token.content.utf8) {
                throw faults.fault("added_tokens", "id \(token.id) is another token in the vocabulary")
            }
        }
        return vocabulary
    }
}
