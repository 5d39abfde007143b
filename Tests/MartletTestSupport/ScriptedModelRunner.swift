import Foundation
import MartletCore
import MartletEngine

/// A model that is a hash: the next token depends on every token and image of the sequence, read back from a fake KV
/// cache through the block table. Whatever a scheduler gets wrong (a stale block, a shared write, a position skipped)
/// changes the output or is a violation. Every plan takes the way through its bytes.
package final class ScriptedModelRunner: ModelRunner {
    package let limits: RunnerLimits
    package var costModel: CostModel
    package let progress = StepProgress()
    package let script: RunnerScript

    private struct SlotState {
        let admission: SlotAdmission
        var tokens: [TokenID]
        var table: [BlockID] = []
        var length: Int
        /// Its logits were not numbers once: whatever follows from them is not either.
        var isBroken = false
    }

    private struct ImageState {
        let image: PreparedImage
        var doneUnits = 0
    }

    private var cache: ScriptedKVCache
    private var slots: [Slot: SlotState] = [:]
    private var images: [ImageID: ImageState] = [:]
    private var results: [StepResult] = []
    /// Slots whose tokens are on their way, where the stages of a pipeline learn them when they are collected.
    private var waitingSlots: Set<Slot> = []
    private var lastIndex: UInt64?

    package init(limits: RunnerLimits, costModel: CostModel = .unit, script: RunnerScript = RunnerScript()) {
        self.limits = limits
        self.costModel = costModel
        self.script = script
        cache = ScriptedKVCache(blockCount: limits.blockCount, blockSize: limits.blockSize)
    }

    /// One unit a row of tokens.
    package func visionUnitCount(of image: PreparedImage) -> Int { image.tokenRows }

    package func register(_ image: PreparedImage, as id: ImageID) throws {
        guard images[id] == nil else { throw violation("image \(id) registered twice") }
        images[id] = ImageState(image: image)
        script.count { $0.registrations += 1 }
    }

    package func launch(_ planned: StepPlan) throws -> StepTicket {
        let plan = try StepPlan(decoding: planned.encoded())
        guard plan == planned else { throw violation("the bytes of step \(planned.index) are another plan") }
        let directions = script.directions
        try wait(directions)
        if let fault = directions.launchFault?(plan) { throw fault }
        do {
            try apply(plan)
            for id in plan.imageReleases { images[id] = nil }
            for work in plan.visionWork { try encode(work) }
            let faultAhead = directions.midStepFault?(plan)
            let rows = try run(plan, directions: directions, stopAfterFirst: faultAhead != nil)
            if let faultAhead { throw faultAhead }
            results.append(StepResult(index: plan.index, rows: rows))
        } catch let error as PlanViolation {
            throw violation("step \(plan.index): \(error)")
        }
        count(plan)
        return StepTicket(index: plan.index)
    }

    package func collect(_ ticket: StepTicket) throws -> StepResult {
        guard let first = results.first, first.index == ticket.index else {
            throw violation("ticket \(ticket.index) collected out of order")
        }
        results.removeFirst()
        waitingSlots.subtract(first.rows.map(\.slot))
        if let fault = script.directions.collectFault?(ticket.index) { throw fault }
        return try StepResult(decoding: first.encoded())
    }

    private func wait(_ directions: RunnerScript.Directions) throws {
        let end = ContinuousClock.now + directions.stepTime
        while script.directions.isStalled || ContinuousClock.now < end {
            if progress.isCancelled { throw CancellationError() }
            if !script.directions.isStalled { progress.tick() }
            usleep(200)
        }
        progress.tick()
    }

    private func apply(_ plan: StepPlan) throws {
        if let lastIndex, plan.index <= lastIndex { throw PlanViolation("index after \(lastIndex)") }
        lastIndex = plan.index
        for slot in plan.releases { release(slot) }
        for admission in plan.admissions {
            // A plan that failed may not have told of the release.
            release(admission.slot)
            guard admission.cachedCount < admission.tokens.count, admission.cachedCount % limits.blockSize == 0,
                Int(admission.slot) < limits.slotCount
            else { throw PlanViolation("admission to slot \(admission.slot)") }
            slots[admission.slot] = SlotState(
                admission: admission, tokens: admission.tokens, length: admission.cachedCount)
        }
        for append in plan.blockAppends {
            guard var state = slots[append.slot] else { throw PlanViolation("blocks for empty slot \(append.slot)") }
            for block in append.blocks {
                let isCached = (state.table.count + 1) * limits.blockSize <= state.admission.cachedCount
                try cache.own(block, isCached: isCached)
                state.table.append(block)
            }
            slots[append.slot] = state
        }
    }

    private func release(_ slot: Slot) {
        waitingSlots.remove(slot)
        for block in slots.removeValue(forKey: slot)?.table ?? [] { cache.disown(block) }
    }

    private func encode(_ work: VisionWork) throws {
        guard var state = images[work.image] else { throw PlanViolation("work on unknown image \(work.image)") }
        guard work.units.lowerBound == state.doneUnits, work.units.upperBound <= state.image.tokenRows,
            !work.units.isEmpty
        else { throw PlanViolation("units \(work.units) of image \(work.image) after \(state.doneUnits)") }
        state.doneUnits = work.units.upperBound
        images[work.image] = state
        let halfDone = images.values.count { $0.doneUnits > 0 && $0.doneUnits < $0.image.tokenRows }
        guard halfDone <= limits.encodingCount else { throw PlanViolation("\(halfDone) images are half encoded") }
        progress.tick()
    }

    private func run(
        _ plan: StepPlan, directions: RunnerScript.Directions, stopAfterFirst: Bool
    ) throws -> [StepResult.Row] {
        var rows: [StepResult.Row] = []
        var seen: Set<Slot> = []
        for chunk in plan.chunks {
            guard var state = slots[chunk.slot], seen.insert(chunk.slot).inserted,
                chunk.range.lowerBound == state.length, !chunk.range.isEmpty,
                chunk.range.upperBound <= state.admission.tokens.count,
                chunk.samples == (chunk.range.upperBound == state.admission.tokens.count)
            else { throw PlanViolation("chunk \(chunk)") }
            let context = try compute(chunk.range, of: &state)
            if chunk.samples, limits.stageCount > 1 { waitingSlots.insert(chunk.slot) }
            if chunk.samples { rows.append(sample(&state, slot: chunk.slot, context: context, directions: directions)) }
            slots[chunk.slot] = state
            if stopAfterFirst { return rows }
        }
        for decode in plan.decodes {
            let slot = decode.slot
            guard var state = slots[slot], seen.insert(slot).inserted, state.length == state.tokens.count - 1,
                state.tokens.count > state.admission.tokens.count
            else { throw PlanViolation("decode of slot \(slot)") }
            guard !waitingSlots.contains(slot) else { throw PlanViolation("slot \(slot) waits for a token") }
            if limits.stageCount > 1 { waitingSlots.insert(slot) }
            rows.append(try verify(decode.guesses, of: &state, slot: slot, directions: directions))
            slots[slot] = state
            if stopAfterFirst { return rows }
        }
        return rows
    }

    /// A decode and the guesses behind it. All of them are written, as a model does that computes them at once; what
    /// was guessed wrong must never be read again.
    private func verify(
        _ guesses: [TokenID], of state: inout SlotState, slot: Slot, directions: RunnerScript.Directions
    ) throws -> StepResult.Row {
        var found: [SampledToken] = []
        var future = state
        var isRight = true
        for index in 0...guesses.count {
            let context = try compute(future.length..<future.tokens.count, of: &future)
            if isRight {
                let row = sample(&state, slot: slot, context: context, directions: directions)
                found += row.tokens
                isRight = index < guesses.count && row.tokens.first?.token == guesses[index]
                // Told by the next step, which begins where the numbers ended.
                if row.tokens.isEmpty, !found.isEmpty { state.tokens.removeLast() }
            }
            if index < guesses.count { future.tokens.append(guesses[index]) }
        }
        state.length = state.tokens.count - 1
        return StepResult.Row(slot: slot, tokens: found)
    }

    /// Writes the positions of `range` and gives the hash of everything up to the last of them.
    private func compute(_ range: Range<Int>, of state: inout SlotState) throws -> UInt64 {
        var context: UInt64 = 0
        for position in 0..<range.lowerBound {
            context &+= mixed(try cache.read(position, table: state.table) ^ UInt64(position))
        }
        for position in range {
            let entry = mixed(context ^ mixed(try input(at: position, of: state)))
            try cache.write(entry, at: position, table: state.table)
            context &+= mixed(entry ^ UInt64(position))
        }
        state.length = range.upperBound
        return context
    }

    /// What stands at `position`: a token, or a patch of an image whose encoding must be done.
    private func input(at position: Int, of state: SlotState) throws -> UInt64 {
        guard let span = state.admission.images.first(where: { $0.tokenRange.contains(position) }) else {
            return UInt64(bitPattern: Int64(state.tokens[position]))
        }
        guard let image = images[span.id], image.doneUnits == image.image.tokenRows else {
            throw PlanViolation("image \(span.id) is not encoded")
        }
        let words = image.image.contentHash.words
        return words[0] ^ words[3] ^ UInt64(position - span.offset)
    }

    private func sample(
        _ state: inout SlotState, slot: Slot, context: UInt64, directions: RunnerScript.Directions
    ) -> StepResult.Row {
        let admission = state.admission
        let sampling = admission.sampling
        let generated = state.tokens.count - admission.promptCount
        if state.isBroken || directions.notANumber?(admission, generated) == true {
            state.isBroken = true
            state.tokens.append(0)
            return StepResult.Row(slot: slot, tokens: [])
        }
        var hash = context
        if sampling.temperature > 0 { hash = mixed(hash ^ mixed(admission.seed ^ UInt64(admission.choice) << 32)) }
        var token = TokenID(mixed(hash) % UInt64(limits.vocabularyCount))
        if let reply = directions.reply?(admission.tokens.prefix(admission.promptCount)) {
            token = generated < reply.count ? reply[generated] : admission.stopTokens.first ?? 0
        } else {
            if hash >> 32 & 7 < directions.repetition { token = echo(state.tokens) ?? token }
            if let allowed = sampling.allowedTokens, !allowed.isEmpty {
                token = allowed[Int(hash % UInt64(allowed.count))]
            }
            let banned = generated < sampling.minTokens ? admission.stopTokens : []
            while banned.contains(token) { token = (token + 1) % TokenID(limits.vocabularyCount) }
        }
        state.tokens.append(token)
        return StepResult.Row(slot: slot, tokens: [sampled(token, hash: hash, count: sampling.logprobCount)])
    }

    /// What followed when the last token stood there before.
    private func echo(_ tokens: [TokenID]) -> TokenID? {
        guard let last = tokens.last, let place = tokens.dropLast().lastIndex(of: last) else { return nil }
        return tokens[place + 1]
    }

    /// The token with log-probabilities that are a function of the context too.
    private func sampled(_ token: TokenID, hash: UInt64, count: Int?) -> SampledToken {
        guard let count else { return SampledToken(token: token) }
        let best = -Float(hash % 1000) / 1000
        let top = (0..<min(count, limits.vocabularyCount)).map { rank in
            TokenLogprob(
                token: (token + TokenID(rank)) % TokenID(limits.vocabularyCount), logprob: best - Float(rank))
        }
        return SampledToken(token: token, logprob: best, top: top)
    }

    private func count(_ plan: StepPlan) {
        let rows = plan.rowCount
        let guesses = plan.decodes.reduce(0) { $0 + $1.guesses.count }
        let resident = slots.count
        let pictures = images.count
        script.count {
            $0.steps += 1
            $0.rows += rows
            $0.guesses += guesses
            $0.visionUnits += plan.visionWork.reduce(0) { $0 + $1.units.count }
            $0.imageReleases += plan.imageReleases.count
            $0.admissions += plan.admissions.count
            $0.largestBatch = max($0.largestBatch, plan.decodes.count + plan.chunks.count)
            $0.residentSlots = resident
            $0.residentImages = pictures
        }
    }

    private func violation(_ text: String) -> any Error {
        script.count { $0.violations.append(text) }
        return PlanViolation(text)
    }
}

extension CostModel {
    /// A row takes a millisecond, nothing else takes anything: 1,000 rows fill the default target.
    package static let unit = CostModel(step: 0, row: 0.001, pair: 0, visionUnit: 0.001)
}
