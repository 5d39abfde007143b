import MartletCore
import MartletEngine
import MartletTensor

/// A text decoder and, where the model sees, a vision tower, executing plans on one backend (D1, D2).
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
    private let cache: B.KVCache
    private var slots: [Slot: SlotState] = [:]
    private var pixels: [ImageID: PreparedImage] = [:]
    private var encodings: [ImageID: VisionEncoding<B>] = [:]
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
            layers: decoder.configuration.layerCount, heads: decoder.configuration.heads,
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
        results[plan.index] = try run(plan)
        for image in plan.imageReleases {
            pixels[image] = nil
            encodings[image] = nil
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
        let encoding = try encodings[work.image] ?? tower.begin(image)
        guard work.units.lowerBound == encoding.doneUnits else { throw RunnerError.outOfOrder }
        encodings[work.image] = encoding
        for unit in work.units {
            tower.run(unit: unit, of: encoding)
            encoding.doneUnits = unit + 1
            try tick()
        }
        guard encoding.doneUnits == visionUnitCount(of: image) else { return }
        embeddings[work.image] = encoding.embeddings
        encodings[work.image] = nil
        pixels[work.image] = nil
    }

    private func run(_ plan: StepPlan) throws -> StepResult {
        var batch = StepBatch()
        for chunk in plan.chunks { try append(chunk.range, slot: chunk.slot, samples: chunk.samples, to: &batch) }
        for slot in plan.decodes {
            guard let state = slots[slot] else { throw RunnerError.unknownSlot }
            try append(state.length..<(state.length + 1), slot: slot, samples: true, to: &batch)
        }
        guard !batch.tokens.isEmpty else { return StepResult(index: plan.index, rows: []) }
        decoder.embed(batch.tokens)
        for replacement in batch.replacements {
            guard let source = embeddings[replacement.image] else { throw RunnerError.unknownImage }
            decoder.replaceRows(replacement.targets, with: source, replacement.sources)
        }
        try decoder.run(positions: batch.positions, batch: batch.attention, cache: cache) { _ in try tick() }
        return StepResult(index: plan.index, rows: sample(batch))
    }

    private func append(_ range: Range<Int>, slot: Slot, samples: Bool, to batch: inout StepBatch) throws {
        guard let state = slots[slot] else { throw RunnerError.unknownSlot }
        guard range.lowerBound == state.length, range.upperBound <= state.tokens.count,
            range.upperBound <= state.blocks.count * limits.blockSize
        else { throw RunnerError.outOfOrder }
        batch.append(range, of: state, slot: slot, samples: samples)
        slots[slot]?.length = range.upperBound
    }

    private func sample(_ batch: StepBatch) -> [StepResult.Row] {
        // The requests share each slot's counts; they must be gone before the counts change, or each token copies them.
        let tokens = decoder.sample(
            batch.sampledRows,
            batch.sampledSlots.compactMap { slots[$0]?.sampleRequest(vocabularyCount: limits.vocabularyCount) })
        return zip(batch.sampledSlots, tokens).map { slot, sampled in
            guard let sampled else { return StepResult.Row(slot: slot, tokens: []) }
            slots[slot]?.append(sampled.token)
            return StepResult.Row(slot: slot, tokens: [sampled])
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
}
