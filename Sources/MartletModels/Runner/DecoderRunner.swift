import MartletCore
import MartletEngine
import MartletTensor

/// A text decoder and, where the model sees, a vision tower, executing plans on one backend (D1, D2): one rank of a
/// model, or all of it.
///
/// In a pipeline every stage is told the same plans, runs its layers, and passes the rows on. The last one samples; the
/// others get its result when the step is collected, and then all of them put the tokens down, at the same place of the
/// same order: so every rank has the same books, and finds a plan at fault where the others do.
package final class DecoderRunner<B: Backend>: ModelRunner {
    package let limits: RunnerLimits
    package internal(set) var costModel: CostModel
    package let progress: StepProgress

    /// Operations of each kind of work, for the cost model.
    package let workload: RunnerWorkload
    var visionConfiguration: VisionConfiguration? { images.vision }

    private let backend: B
    let decoder: TextDecoder<B>
    private let link: StageLink
    /// Of all tokens so far, and steps.
    private var tokenHash: UInt64 = 0xCBF2_9CE4_8422_2325, stepCount = 0
    private let cache: B.KVCache
    private var slots: [Slot: SlotState] = [:]
    private var images: EncodedImages<B>
    private var launched: [UInt64: Outcome] = [:]

    /// What is known of a launched step's result.
    private enum Outcome {
        /// Tokens for `samples` that the backend may still be choosing.
        case choosing([B.Choice], for: [StepBatch.Sample])
        case here(StepResult)
        case onTheLastStage
    }

    /// `limits.blockCount` blocks of KV in `cacheType` are allocated here. Costs are a guess until `warmUp`. `vision`:
    /// of a model that sees, on every stage; its `tower` is on the first. `link`: to the other stages.
    package init(
        backend: B, decoder: TextDecoder<B>, tower: VisionTower<B>?, vision: VisionConfiguration?,
        limits: RunnerLimits, cacheType: DType, workload: RunnerWorkload, link: StageLink = StageLink(),
        progress: StepProgress = StepProgress()
    ) throws {
        let shard = decoder.shard
        precondition(link.stageCount > 1 || shard.isFirstStage && shard.isLastStage, "a stage without the others")
        self.backend = backend
        self.decoder = decoder
        self.limits = limits
        self.workload = workload
        self.link = link
        self.progress = progress
        images = EncodedImages(backend: backend, tower: tower, vision: vision)
        costModel = workload.costModel(operationsPerSecond: 50e9)
        cache = try backend.makeKVCache(
            layers: shard.layers.count, heads: shard.heads, blockCount: limits.blockCount,
            blockSize: limits.blockSize, dtype: cacheType)
    }

    package func visionUnitCount(of image: PreparedImage) -> Int { images.unitCount(of: image) }

    package func register(_ image: PreparedImage, as id: ImageID) throws { try images.register(image, as: id) }

    package func launch(_ plan: StepPlan) throws -> StepTicket {
        apply(plan)
        let batch = try admit(plan)
        // First, for what begins now has the memory of what was half done.
        for image in plan.imageReleases { images.release(image) }
        for work in plan.visionWork { try images.encode(work, progress) }
        for work in plan.visionWork { try images.share(work) }
        launched[plan.index] = try run(batch, index: plan.index)
        for sample in batch.samples { slots[sample.slot]?.awaitToken() }
        return StepTicket(index: plan.index)
    }

    /// The rows of a plan. What is wrong with it is found before anything of it is noted, computed or sent.
    private func admit(_ plan: StepPlan) throws -> StepBatch {
        var planned = images
        try planned.plan(plan.visionWork)
        let batch = try batch(of: plan, planned)
        images = planned
        return batch
    }

    package func collect(_ ticket: StepTicket) throws -> StepResult {
        guard let outcome = launched.removeValue(forKey: ticket.index) else { throw RunnerError.unknownTicket }
        var result: StepResult
        switch outcome {
        case .choosing(let choices, let samples):
            result = try self.result(of: choices, for: samples, index: ticket.index)
        case .here(let known): result = known
        case .onTheLastStage: result = try link.hearResult()
        }
        guard result.index == ticket.index else { throw RunnerError.outOfStep }
        note(&result)
        return result
    }

    /// The deltas of a plan to the mirrored state.
    private func apply(_ plan: StepPlan) {
        for slot in plan.releases { slots[slot] = nil }
        for admission in plan.admissions { slots[admission.slot] = SlotState(admission) }
        for append in plan.blockAppends { slots[append.slot]?.blocks += append.blocks }
    }

    private func batch(of plan: StepPlan, _ images: EncodedImages<B>) throws(RunnerError) -> StepBatch {
        var batch = StepBatch()
        for chunk in plan.chunks { try append(chunk, to: &batch) }
        for decode in plan.decodes { try append(decode, to: &batch) }
        guard batch.replacements.allSatisfy({ images.isPlanned($0.image) }) else { throw .unknownImage }
        return batch
    }

    /// This stage's part of a step, from its rows to what the next stage needs, or to tokens.
    private func run(_ batch: StepBatch, index: UInt64) throws -> Outcome {
        let count = batch.tokens.count
        if count == 0 {
            guard link.stageCount == 1 else { return .here(StepResult(index: index, rows: [])) }
            // Pictures may have failed.
            return .choosing(try decoder.choose([], []), for: [])
        }
        if decoder.shard.isFirstStage {
            try progress.forward { try embed(batch) }
        } else {
            decoder.writeHidden(try link.receiveRows(count * decoder.configuration.hiddenSize))
        }
        try progress.forward {
            try decoder.run(positions: batch.positions, batch: batch.attention, cache: cache) { _ in
                try progress.tickUnlessCancelled()
            }
        }
        guard decoder.shard.isLastStage else {
            try link.sendRows(decoder.readHidden(rows: count))
            return .onTheLastStage
        }
        let choices = try choose(batch)
        // With one stage the next plan may come before this one is collected (D3).
        guard link.stageCount > 1 else { return .choosing(choices, for: batch.samples) }
        let result = try self.result(of: choices, for: batch.samples, index: index)
        try link.tell(result)
        return .here(result)
    }

    private func embed(_ batch: StepBatch) throws {
        try decoder.embed(batch.tokens)
        for replacement in batch.replacements {
            // Planned and not there: of this rank alone, for the others have begun.
            guard let source = images.embeddings(of: replacement.image) else { throw RunnerError.outOfStep }
            decoder.replaceRows(replacement.targets, with: source, replacement.sources)
        }
    }

    /// The tokens of a step, for all that comes after it. Those behind a choice that could not be made go.
    private func note(_ result: inout StepResult) {
        for (index, row) in result.rows.enumerated() {
            guard let state = slots[row.slot] else { continue }
            let tokens = state.isBroken ? [] : row.tokens
            result.rows[index].tokens = tokens
            slots[row.slot]?.append(tokens)
        }
    }

    /// Every 16 steps, that all ranks have chosen the same tokens since they began.
    private func checkAgreement(_ rows: [StepResult.Row]) throws {
        for token in rows.lazy.flatMap(\.tokens) { tokenHash = (tokenHash ^ UInt64(token.token)) &* 0x100_0000_01B3 }
        stepCount += 1
        guard stepCount % 16 == 0, backend.rankCount > 1 else { return }
        guard try backend.agrees(on: tokenHash) else { throw RunnerError.outOfStep }
    }

    private func append(_ chunk: PrefillChunk, to batch: inout StepBatch) throws(RunnerError) {
        guard let state = slots[chunk.slot] else { throw .unknownSlot }
        guard chunk.range.lowerBound == state.length, chunk.range.upperBound <= state.tokens.count,
            chunk.range.upperBound <= state.blocks.count * limits.blockSize
        else { throw .outOfOrder }
        batch.append(state.tokens[chunk.range], at: chunk.range.lowerBound, of: state)
        if chunk.samples { batch.sample(lastRows: 1, slot: chunk.slot) }
        slots[chunk.slot]?.length = chunk.range.upperBound
    }

    private func append(_ decode: SlotDecode, to batch: inout StepBatch) throws(RunnerError) {
        guard let state = slots[decode.slot] else { throw .unknownSlot }
        // What one step chooses can be taken for granted by the next, if nothing is guessed.
        guard state.pendingCount == 0 || goesAhead && state.pendingCount == 1 && decode.guesses.isEmpty,
            let first = state.input
        else { throw .outOfOrder }
        let input = [first] + decode.guesses
        guard state.length == state.tokens.count + state.pendingCount - 1,
            state.length + input.count <= state.blocks.count * limits.blockSize
        else { throw .outOfOrder }
        batch.append(input, at: state.length, of: state)
        batch.sample(lastRows: input.count, slot: decode.slot, guesses: decode.guesses)
    }

    /// Whether steps begin with tokens that the one before is choosing: not in a pipeline, whose first stage has none.
    private var goesAhead: Bool { limits.depth > 1 && link.stageCount == 1 }

    private func choose(_ batch: StepBatch) throws -> [B.Choice] {
        let rows = batch.samples.flatMap { $0.rows }, requests = batch.samples.flatMap { sampleRequests($0) }
        return try progress.forward { try decoder.choose(rows, requests) }
    }

    /// Waits for what was chosen for `samples`.
    private func result(of choices: [B.Choice], for samples: [StepBatch.Sample], index: UInt64) throws -> StepResult {
        let sampled = try progress.forward { try decoder.tokens(of: choices) }
        var result = StepResult(index: index, rows: []), next = 0
        for sample in samples {
            let tokens = sample.accepted(sampled[next..<next + sample.rows.count])
            result.rows.append(StepResult.Row(slot: sample.slot, tokens: tokens))
            next += sample.rows.count
        }
        #if DEBUG
        try checkAgreement(result.rows)
        #endif
        return result
    }

    /// One for each of its rows.
    private func sampleRequests(_ sample: StepBatch.Sample) -> [SampleRequest] {
        guard let state = slots[sample.slot] else { return [] }
        return (0...sample.guesses.count).map {
            state.sampleRequest(
                behind: sample.guesses.prefix($0), vocabularyCount: limits.vocabularyCount, goesAhead: goesAhead)
        }
    }
}

extension StepProgress {
    /// A layer or a vision unit is done. Throws `CancellationError` when the engine is stopping.
    func tickUnlessCancelled() throws {
        tick()
        if isCancelled { throw CancellationError() }
    }
}

/// A plan that this runner's state does not allow: a bug of the scheduler, or a rank out of step.
package enum RunnerError: UInt8, Error, Equatable {
    case notMultimodal
    case unknownImage
    case unknownSlot
    case unknownTicket
    /// Work that does not continue where the state ends.
    case outOfOrder
    /// This rank does not have what the others have.
    case outOfStep

    /// Whether every rank that is told the same plan throws it, at the same place.
    var isCommon: Bool { self != .outOfStep }
}
