import MartletCore
import MartletEngine
import MartletTensor

/// What every rank mirrors about one resident sequence (D2): its tokens, its blocks, and what sampling needs.
struct SlotState {
    let admission: SlotAdmission
    let positions: SequencePositions
    /// Prompt and generated tokens as far as they are known.
    private(set) var tokens: [TokenID]
    /// Tokens behind these that launched steps are choosing.
    private(set) var pendingCount = 0
    /// Nothing could be chosen for it: whatever follows is void.
    private(set) var isBroken = false
    var blocks: [BlockID] = []
    /// Positions whose KV launched steps compute.
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

    /// What the next decode begins with: the last token, or what stands for it until it is known.
    var input: TokenID? { pendingCount == 0 ? tokens.last : KeptToken.input(at: Int(admission.slot)) }

    /// A step was launched that chooses its next token.
    mutating func awaitToken() {
        pendingCount += 1
        length = tokens.count + pendingCount - 1
    }

    /// What sampled rows of the oldest step brought: the KV of all but the last is there, whatever else was computed is
    /// void.
    mutating func append(_ sampled: [SampledToken]) {
        pendingCount -= 1
        if sampled.isEmpty { isBroken = true }
        for token in sampled.lazy.map(\.token) {
            tokens.append(token)
            if isPenalised { generatedCounts[token, default: 0] += 1 }
        }
        length = tokens.count + pendingCount - 1
    }

    private var isPenalised: Bool {
        let sampling = admission.sampling
        return sampling.presencePenalty != 0 || sampling.frequencyPenalty != 0 || sampling.repetitionPenalty != 1
    }

    /// How the token behind `guesses` is to be chosen, if they are right. `goesAhead`: whether a step may begin with it
    /// before it is known.
    func sampleRequest(
        behind guesses: ArraySlice<TokenID>, vocabularyCount: Int, goesAhead: Bool
    ) -> SampleRequest {
        let sampling = admission.sampling
        let generatedCount = tokens.count + pendingCount - admission.promptCount + guesses.count
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
        // Nothing begins with what is chosen behind a guess before it is known whether that was right.
        if goesAhead, guesses.isEmpty { request.place = Int(admission.slot) }
        request.countsKept = isPenalised && pendingCount > 0
        return request
    }
}
