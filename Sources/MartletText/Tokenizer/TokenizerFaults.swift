/// Makes the errors of one file, with that file's names for what the formats share.
struct TokenizerFaults {
    let file: String
    var vocabularyField = "model.vocab"
    var mergesField = "model.merges"

    func fault(_ field: String, _ reason: String) -> TokenizerError {
        TokenizerError(file: file, field: field, reason: reason)
    }
}
