import MartletCore
import MartletEngine
import MartletTensor

/// What every rank mirrors about one resident sequence (D2): its tokens, its blocks, and what sampling needs.
struct SlotState {
    let admission: SlotAdmission
    let positions: SequencePositions
    /// Prompt and generated tokens so far; the last is the input of the next decode.
    private(set) var tokens: [TokenID]
    var blocks: [BlockID] = []
    /// Positions whose KV is computed.
    var length: Int
    private var generatedCounts: [TokenID: Int32] = [:]
    private let promptTokens: Set<TokenID>

    init(_ admission: SlotAdmission) {
        self.admission = admission
        positions = SequencePositions(images: admission.images)
        tokens = admission.tokens
        length = admission.cachedCount
        let prompt = admission.tokens.prefix(admission.promptCount)
        promptTokens = admission.sampling.repetitionPenalty == 1 ? [] : Set(prompt)
        for token in admission.tokens.dropFirst(admission.promptCount) { generatedCounts[token, default: 0] += 1 }
    }

    var generatedCount: Int { tokens.count - admission.promptCount }

    mutating func append(_ token: TokenID) {
        tokens.append(token)
        generatedCounts[token, default: 0] += 1
    }

    /// How the next token is to be chosen.
    func sampleRequest(vocabularyCount: Int) -> SampleRequest {
        let sampling = admission.sampling
        var request = SampleRequest(vocabularyCount: vocabularyCount)
        request.temperature = sampling.temperature
        request.topK = sampling.topK
        request.topP = sampling.topP
        request.minP = sampling.minP
        request.seed = admission.seed
        request.choice = admission.choice
        request.position = UInt32(generatedCount)
        request.presencePenalty = sampling.presencePenalty
        request.frequencyPenalty = sampling.frequencyPenalty
        request.repetitionPenalty = sampling.repetitionPenalty
        request.generatedCounts = generatedCounts
        request.promptTokens = promptTokens
        request.logitBias = sampling.logitBias
        request.allowedTokens = sampling.allowedTokens
        request.bannedTokens = generatedCount < sampling.minTokens ? admission.stopTokens : []
        request.logprobCount = sampling.logprobCount
        return request
    }
}
