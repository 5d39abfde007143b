import MartletCore
import MartletEngine
import MartletTensor

/// A runner that finds out what its work costs.
protocol WarmingRunner: ModelRunner {
    /// Runs every path once by way of `runner`, which has other ranks run what this one does, or runs it instead, and
    /// gives what that took; nil where there is no room to tell.
    func warmUp(through runner: some ModelRunner, now: () -> Double) throws -> CostModel?
}

/// A lead whose costs are what somebody found.
protocol CostedLead: ModelRunner {
    var costModel: CostModel { get set }
}

extension DecoderRunner: WarmingRunner, CostedLead {
    /// Runs every path once (prefill, decode, vision tower) so that the first request finds memory touched and code
    /// warm, and fits the cost model to what it took. `now` in seconds. Leaves no state behind; call it before
    /// the engine has the runner.
    func warmUp(through runner: some ModelRunner, now: () -> Double) throws -> CostModel? {
        let rows = min(16, decoder.maxRows, limits.maxModelLength - 2, limits.blockCount * limits.blockSize - 2)
        guard rows > 1 else { return nil }
        let blocks = (0..<((rows + 1 + limits.blockSize - 1) / limits.blockSize)).map(BlockID.init)
        var index = UInt64.max - 8
        func seconds(_ plan: StepPlan) throws -> Double {
            let start = now()
            _ = try runner.collect(runner.launch(plan))
            return now() - start
        }
        func plan() -> StepPlan {
            index += 1
            return StepPlan(index: index)
        }

        var prefill = plan()
        prefill.admissions = [admission(rows: rows)]
        prefill.blockAppends = [BlockAppend(slot: 0, blocks: blocks)]
        prefill.chunks = [PrefillChunk(slot: 0, range: 0..<rows, samples: true)]
        _ = try seconds(prefill)
        prefill.index = plan().index
        prefill.releases = [0]
        let prefillSeconds = try seconds(prefill)
        var decode = plan()
        decode.decodes = [SlotDecode(slot: 0)]
        let decodeSeconds = try seconds(decode)
        var release = plan()
        release.releases = [0]
        _ = try seconds(release)

        let row = max(1e-9, (prefillSeconds - decodeSeconds) / Double(rows - 1))
        let perOperation = row / workload.operationsPerRow
        try warmUpVision(through: runner)
        return CostModel(
            step: max(0, decodeSeconds - row), row: row, pair: perOperation * workload.operationsPerPair,
            visionUnit: perOperation * workload.operationsPerVisionUnit)
    }

    private func admission(rows: Int) -> SlotAdmission {
        SlotAdmission(
            slot: 0, tokens: (0..<rows).map { TokenID($0 % limits.vocabularyCount) }, promptCount: rows, cachedCount: 0,
            images: [], sampling: SamplingParameters(), seed: 0, choice: 0, stopTokens: [])
    }

    /// The smallest picture worth the name, through the whole tower.
    private func warmUpVision(through runner: some ModelRunner) throws {
        guard let vision = visionConfiguration else { return }
        let side = vision.patchSize * vision.mergeSize * 4
        let image = PreparedImage(
            width: side, height: side, originalWidth: side, originalHeight: side,
            rgb: [UInt8](repeating: 127, count: side * side * 3), patchSize: vision.patchSize,
            mergeSize: vision.mergeSize, mean: SIMD3(repeating: 0.5), deviation: SIMD3(repeating: 0.25))
        let id = ImageID.max
        try runner.register(image, as: id)
        var plan = StepPlan(index: UInt64.max - 1)
        plan.visionWork = [VisionWork(image: id, units: 0..<visionUnitCount(of: image))]
        plan.imageReleases = [id]
        _ = try runner.collect(runner.launch(plan))
    }
}

extension GroupRunner {
    /// Every rank's, at once, and what this copy's work costs. `first`: a copy whose lead is in this process and knows
    /// what to run, for one whose lead is not.
    package func warmUp(like first: GroupRunner, now: () -> Double) throws {
        guard let guide = lead as? any WarmingRunner ?? first.lead as? any WarmingRunner,
            let cost = try guide.warmUp(through: self, now: now)
        else { return }
        (lead as? any CostedLead)?.costModel = cost
    }
}
