import MartletCore
import MartletEngine
import MartletTensor

/// A text decoder and, where the model sees, a vision tower, executing plans on one backend (D1, D2): one rank of a
/// model, or all of it.
package final class DecoderRunner<B: Backend>: ModelRunner {
    package let limits: RunnerLimits
    package internal(set) var costModel: CostModel
    package let progress = StepProgress()

    /// Operations of each kind of work, for the cost model.
    package let workload: RunnerWorkload
    var visionConfiguration: VisionConfiguration? { tower?.configuration }

    private let backend: B
    let decoder: TextDecoder<B>
    private let tower: VisionTower<B>?
    /// Of all tokens so far, and steps with rows.
    private var tokenHash: UInt64 = 0xCBF2_9CE4_8422_2325, stepCount = 0
    private let cache: B.KVCache
    private var slots: [Slot: SlotState] = [:]
    private var pixels: [ImageID: PreparedImage] = [:]
    private var encodings: [ImageID: VisionEncoding<B>] = [:]
    /// Units that are done of pictures on their way through the tower, here or on another rank.
    private var encodedUnits: [ImageID: Int] = [:]
    private var embeddings: [ImageID: Activation<B.Storage>] = [:]
    private var results: [UInt64: StepResult] = [:]

    /// `limits.blockCount` blocks of KV in `cacheType` are allocated here. Costs are a guess until `warmUp`.
    package init(
        backend: B, decoder: TextDecoder<B>, tower: VisionTower<B>?, limits: RunnerLimits, cacheType: DType,
        workload: RunnerWorkload
    ) throws {
        self.backend = backend
        self.decoder = decoder
        self.tower = tower
        self.limits = limits
        self.workload = workload
        costModel = workload.costModel(operationsPerSecond: 50e9)
        cache = try backend.makeKVCache(
            layers: decoder.shard.layers.count, heads: decoder.shard.heads,
            blockCount: limits.blockCount, blockSize: limits.blockSize, dtype: cacheType)
    }

    package func visionUnitCount(of image: PreparedImage) -> Int {
        tower?.unitCount(patches: image.patchRows * image.patchColumns) ?? 0
    }

    package func register(_ image: PreparedImage, as id: ImageID) throws {
        guard tower != nil else { throw RunnerError.notMultimodal }
        pixels[id] = image
    }

    package func launch(_ plan: StepPlan) throws -> StepTicket {
        apply(plan)
        for work in plan.visionWork { try encode(work) }
        for work in plan.visionWork { try share(work) }
        results[plan.index] = try run(plan)
        for image in plan.imageReleases {
            pixels[image] = nil
            encodings[image] = nil
            encodedUnits[image] = nil
            embeddings[image] = nil
        }
        return StepTicket(index: plan.index)
    }

    package func collect(_ ticket: StepTicket) throws -> StepResult {
        guard let result = results.removeValue(forKey: ticket.index) else { throw RunnerError.unknownTicket }
        return result
    }

    /// The deltas of a plan to the mirrored state.
    private func apply(_ plan: StepPlan) {
        for slot in plan.releases { slots[slot] = nil }
        for admission in plan.admissions { slots[admission.slot] = SlotState(admission) }
        for append in plan.blockAppends { slots[append.slot]?.blocks += append.blocks }
    }

    private func encode(_ work: VisionWork) throws {
        guard let tower, let image = pixels[work.image] else { throw RunnerError.unknownImage }
        // Of every rank's, whoever encodes: all leave a plan at the same place, or none.
        guard work.units.lowerBound == encodedUnits[work.image, default: 0] else { throw RunnerError.outOfOrder }
        encodedUnits[work.image] = work.units.upperBound
        guard !isShared || owner(of: work.image) == backend.rank else { return }
        let encoding = try encodings[work.image] ?? tower.begin(image)
        encodings[work.image] = encoding
        for unit in work.units {
            try progress.forward { try tower.run(unit: unit, of: encoding) }
            try tick()
        }
        guard work.units.upperBound == visionUnitCount(of: image) else { return }
        embeddings[work.image] = encoding.embeddings
        encodings[work.image] = nil
    }

    /// Whether ranks encode pictures for one another.
    private var isShared: Bool { backend.rankCount > 1 && tower?.isWhole == true }

    private func owner(of image: ImageID) -> Int { Int(image % ImageID(backend.rankCount)) }

    /// An image is encoded: its pixels go, and every rank gets its embeddings. After the work of all images, so that
    /// their owners work side by side.
    private func share(_ work: VisionWork) throws {
        guard let tower, let image = pixels[work.image], work.units.upperBound == visionUnitCount(of: image)
        else { return }
        pixels[work.image] = nil
        encodedUnits[work.image] = nil
        guard isShared else { return }
        let shared =
            try embeddings[work.image]
            ?? backend.makeActivation(rows: image.tokenCount, width: tower.configuration.outputSize)
        try backend.broadcast(shared, from: owner(of: work.image))
        embeddings[work.image] = shared
    }

    private func run(_ plan: StepPlan) throws -> StepResult {
        var batch = StepBatch()
        for chunk in plan.chunks { try append(chunk, to: &batch) }
        for decode in plan.decodes { try append(decode, to: &batch) }
        guard !batch.tokens.isEmpty else { return StepResult(index: plan.index, rows: []) }
        try progress.forward {
            try decoder.embed(batch.tokens)
            for replacement in batch.replacements {
                guard let source = embeddings[replacement.image] else { throw RunnerError.unknownImage }
                decoder.replaceRows(replacement.targets, with: source, replacement.sources)
            }
            try decoder.run(positions: batch.positions, batch: batch.attention, cache: cache) { _ in try tick() }
        }
        let rows = try sample(batch)
        #if DEBUG
        try checkAgreement(rows)
        #endif
        return StepResult(index: plan.index, rows: rows)
    }

    /// Every 16 steps, that all ranks have chosen the same tokens since they began.
    private func checkAgreement(_ rows: [StepResult.Row]) throws {
        for token in rows.lazy.flatMap(\.tokens) { tokenHash = (tokenHash ^ UInt64(token.token)) &* 0x100_0000_01B3 }
        stepCount += 1
        guard stepCount % 16 == 0, backend.rankCount > 1 else { return }
        guard try backend.agrees(on: tokenHash) else { throw RunnerError.outOfStep }
    }

    private func append(_ chunk: PrefillChunk, to batch: inout StepBatch) throws {
        guard let state = slots[chunk.slot] else { throw RunnerError.unknownSlot }
        guard chunk.range.lowerBound == state.length, chunk.range.upperBound <= state.tokens.count,
            chunk.range.upperBound <= state.blocks.count * limits.blockSize
        else { throw RunnerError.outOfOrder }
        batch.append(state.tokens[chunk.range], at: chunk.range.lowerBound, of: state)
        if chunk.samples { batch.sample(lastRows: 1, slot: chunk.slot) }
        slots[chunk.slot]?.length = chunk.range.upperBound
    }

    private func append(_ decode: SlotDecode, to batch: inout StepBatch) throws {
        guard let state = slots[decode.slot] else { throw RunnerError.unknownSlot }
        let input = state.tokens.suffix(1) + decode.guesses
        guard state.length == state.tokens.count - 1,
            state.length + input.count <= state.blocks.count * limits.blockSize
        else { throw RunnerError.outOfOrder }
        batch.append(input, at: state.length, of: state)
        batch.sample(lastRows: input.count, slot: decode.slot, guesses: decode.guesses)
    }

    private func sample(_ batch: StepBatch) throws -> [StepResult.Row] {
        // The requests share each slot's counts; they must be gone before the counts change, or each token copies them.
        let sampled = try sampled(batch.samples.flatMap { $0.rows }, batch.samples.flatMap { sampleRequests($0) })
        var next = 0
        return batch.samples.map { sample in
            defer { next += sample.rows.count }
            let tokens = sample.accepted(sampled[next..<next + sample.rows.count])
            slots[sample.slot]?.append(tokens)
            return StepResult.Row(slot: sample.slot, tokens: tokens)
        }
    }

    private func sampled(_ rows: [Int], _ requests: [SampleRequest]) throws -> [SampledToken?] {
        try progress.forward { try decoder.sample(rows, requests) }
    }

    /// One for each of its rows.
    private func sampleRequests(_ sample: StepBatch.Sample) -> [SampleRequest] {
        guard let state = slots[sample.slot] else { return [] }
        return (0...sample.guesses.count).map {
            state.sampleRequest(behind: sample.guesses.prefix($0), vocabularyCount: limits.vocabularyCount)
        }
    }

    private func tick() throws {
        progress.tick()
        if progress.isCancelled { throw CancellationError() }
    }
}

/// A plan that this runner's state does not allow: a bug of the scheduler, or a rank out of step.
package enum RunnerError: Error, Equatable {
    case notMultimodal
    case unknownImage
    case unknownSlot
    case unknownTicket
    /// Work that does not continue where the state ends.
    case outOfOrder
    /// This rank's tokens are not rank 0's.
    case outOfStep

    /// Whether every rank that is told the same plan throws it, at the same place.
    var isCommon: Bool { self != .outOfStep }
}
