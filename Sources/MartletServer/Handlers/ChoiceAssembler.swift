import MartletCore
import MartletEngine
import MartletText

/// Turns one choice's tokens into deltas: token -> stable text -> stop strings -> thoughts apart. A value without
/// clock or stream.
struct ChoiceAssembler: Sendable {
    /// What is the same for all choices of a request.
    struct Plan: Sendable {
        let tokenizer: Tokenizer
        let options: GenerationOptions
        let assembly: CompletionAssembler.Options
    }

    private let plan: Plan
    private let index: Int
    private var detokenizer: Detokenizer
    private var assembler: CompletionAssembler
    /// Tokens generated, the one that ended the choice included.
    private(set) var tokenCount = 0
    private(set) var isFinished = false

    init(_ plan: Plan, index: Int) {
        self.plan = plan
        self.index = index
        detokenizer = Detokenizer(tokenizer: plan.tokenizer, skipSpecialTokens: plan.options.skipsSpecialTokens)
        assembler = CompletionAssembler(plan.assembly)
    }

    /// The tokens of one step. A stop string may end the choice here, before the engine knows.
    mutating func append(_ tokens: [SampledToken]) -> ChoiceDelta {
        var delta = ChoiceDelta(index: index)
        for token in tokens {
            guard !isFinished else { break }
            tokenCount += 1
            if plan.options.sampling.logprobCount != nil { delta.logprobs.append(record(token)) }
            if plan.options.returnsTokenIDs { delta.tokenIDs.append(token.token) }
            add(assembler.append(detokenizer.append(token.token)), to: &delta)
            endIfStopped(&delta)
        }
        return delta
    }

    /// The engine ended the choice by `stopToken`, or by a limit.
    mutating func finish(_ reason: FinishReason, stopToken: TokenID?) -> ChoiceDelta {
        var delta = ChoiceDelta(index: index)
        guard !isFinished else { return delta }
        let isAsked = stopToken.map { plan.options.sampling.stopTokens.contains($0) } ?? false
        if let stopToken {
            tokenCount += 1
            if plan.options.returnsTokenIDs { delta.tokenIDs.append(stopToken) }
            if isAsked, plan.options.includesStopString {
                add(assembler.append(detokenizer.append(stopToken)), to: &delta)
            }
        }
        add(assembler.append(detokenizer.finish()), to: &delta)
        endIfStopped(&delta)
        guard !isFinished else { return delta }
        add(assembler.finish(), to: &delta)
        isFinished = true
        delta.ending = Ending(
            finishReason: reason == .length ? "length" : "stop",
            cause: isAsked ? stopToken.map { .stopToken($0) } ?? .natural : .natural)
        return delta
    }

    private mutating func endIfStopped(_ delta: inout ChoiceDelta) {
        guard let ending = assembler.ending else { return }
        isFinished = true
        switch ending {
        case .stopString(let text): delta.ending = Ending(finishReason: "stop", cause: .stopString(text))
        case .answerClosed: delta.ending = Ending(finishReason: "stop", cause: .natural)
        }
    }

    private func add(_ pieces: [CompletionDelta], to delta: inout ChoiceDelta) {
        for piece in pieces {
            delta.content += piece.content
            delta.reasoning += piece.reasoning
        }
    }

    private func record(_ token: SampledToken) -> TokenRecord {
        TokenRecord(
            chosen: entry(token.token, token.logprob ?? TokenRecord.Entry.floor),
            top: token.top.map { entry($0.token, $0.logprob) })
    }

    private func entry(_ token: TokenID, _ logprob: Float) -> TokenRecord.Entry {
        let bytes = plan.tokenizer.bytes(of: token)
        let text = plan.options.namesTokensByID ? "token_id:\(token)" : String(decoding: bytes, as: UTF8.self)
        return TokenRecord.Entry(token: text, bytes: Array(bytes), logprob: logprob)
    }
}
