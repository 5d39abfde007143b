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
    /// What penalties read; empty without them.
    private var generatedCounts: [TokenID: Int32] = [:]
    private let promptTokens: Set<TokenID>

    init(_ admission: SlotAdmission) {
        self.admission = admission
        positions = SequencePositions(images: admission.images)
        tokens = admission.tokens
        length = admission.cachedCount
        let prompt = admission.tokens.prefix(admission.promptCount)
        promptTokens = admission.sampling.repetitionPenalty == 1 ? [] : Set(prompt)
        guard isPenalised else { return }
        for token in admission.tokens.dropFirst(admission.promptCount) { generatedCounts[token, default: 0] += 1 }
    }

    /// What sampled rows brought: the KV of all but the last is there, whatever else was computed is void.
    mutating func append(_ sampled: [SampledToken]) {
        for token in sampled.lazy.map(\.token) {
            tokens.append(token)
            if isPenalised { generatedCounts[token, default: 0] += 1 }
        }
        length = tokens.count - 1
    }

    private var isPenalised: Bool {
        let sampling = admission.sampling
        return sampling.presencePenalty != 0 || sampling.frequencyPenalty != 0 || sampling.repetitionPenalty != 1
    }

    /// How the token behind `guesses` is to be chosen, if they are right.
    func sampleRequest(behind guesses: ArraySlice<TokenID>, vocabularyCount: Int) -> SampleRequest {
        let sampling = admission.sampling
        let generatedCount = tokens.count - admission.promptCount + guesses.count
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
        if isPenalised { for guess in guesses { request.generatedCounts[guess, default: 0] += 1 } }
        request.promptTokens = promptTokens
        request.logitBias = sampling.logitBias
        request.allowedTokens = sampling.allowedTokens
        request.bannedTokens = generatedCount < sampling.minTokens ? admission.stopTokens : []
        request.logprobCount = sampling.logprobCount
        return request
    }
}
