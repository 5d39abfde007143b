import MartletCore

/// One choice of a request on its way through the engine: its tokens, its blocks, and how far it is. A class for
/// its identity; never leaves the engine.
package final class TokenSequence {
    package enum Phase: Equatable {
        case waiting
        case running
        /// Ended or preempted, but a step in flight still names it; it keeps slot and blocks until that retires.
        case retiring(resumes: Bool)
        case ended
    }

    package let group: SequenceGroup
    package let choice: Int
    /// Nobody asked for it: its blocks are wanted, and no token (`Scheduler+Ahead.swift`).
    package let isAhead: Bool
    package let order: SequenceOrder
    package let promptCount: Int
    package let images: [SequenceImage]
    package let sampling: SamplingParameters
    package let seed: UInt64
    /// Stop tokens of model and request.
    package let stopTokens: [TokenID]
    /// `tokens` never grows beyond this.
    package let tokenLimit: Int
    /// It may decode before it is known what the last step brought (D3).
    private let hasLookahead: Bool

    /// Prompt and what was generated, as collected.
    package internal(set) var tokens: [TokenID]
    package internal(set) var phase = Phase.waiting
    package internal(set) var slot: Slot?
    package internal(set) var table = BlockTable()
    /// Keys of the leading full blocks, as far as they were needed.
    var keys: [BlockKey] = []
    var publishedBlockCount = 0
    /// Positions whose KV launched plans compute, and collected steps have computed.
    package internal(set) var plannedCount = 0
    package internal(set) var computedCount = 0
    /// `tokens.count` when it was admitted: what chunks cover.
    package internal(set) var admittedCount = 0
    /// Guesses what it will say; nil without speculation.
    var proposer: NgramProposer?
    /// Steps in flight that name it, and tokens they will bring.
    var inFlightSteps = 0
    var inFlightTokens = 0
    /// Ids of `images` while admitted, in their order; nil where the runner's embedding is not held (any more).
    var heldImages: [ImageID?] = []
    package internal(set) var preemptionCount = 0
    package internal(set) var timing = SequenceTiming()

    init(
        group: SequenceGroup, choice: Int, request: GenerationRequest, images: [SequenceImage], seed: UInt64,
        endTokens: [TokenID], tokenLimit: Int, order: SequenceOrder, speculation: SpeculationConfiguration?,
        hasLookahead: Bool = true, isAhead: Bool = false
    ) {
        self.group = group
        self.choice = choice
        self.isAhead = isAhead
        self.order = order
        self.images = images
        self.seed = seed
        self.tokenLimit = tokenLimit
        self.hasLookahead = hasLookahead
        tokens = request.prompt.tokens
        keys = request.blockKeys
        promptCount = request.prompt.tokens.count
        proposer = speculation.map(NgramProposer.init)
        sampling = request.sampling
        let modelStops = request.sampling.ignoresEndOfGeneration ? [] : endTokens
        stopTokens = modelStops + request.sampling.stopTokens.filter { !modelStops.contains($0) }
    }

    package var generatedCount: Int { tokens.count - promptCount }
    package var isPrefilling: Bool { plannedCount < admittedCount }
    /// Tokens it will have when everything in flight has come.
    var expectedCount: Int { tokens.count + inFlightTokens }
    /// A decode would bring a token that it may still have, and the runner has the input.
    var canDecode: Bool {
        !isPrefilling && expectedCount < tokenLimit && (hasLookahead || inFlightTokens == 0)
    }

    /// Keys of the first `count` full blocks.
    func blockKeys(_ count: Int, blockSize: Int) -> ArraySlice<BlockKey> {
        while keys.count < count {
            let start = keys.count * blockSize
            keys.append(
                BlockKey(
                    parent: keys.last ?? group.rootKey, tokens: tokens[start..<(start + blockSize)], start: start,
                    images: images))
        }
        return keys[..<count]
    }
}
