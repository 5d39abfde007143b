import CMartletKernels
import MartletCore
import MartletTensor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Chooses one token from one row of logits (D12).
///
/// Order: repetition penalty, frequency and presence penalties, bias, masks; then greedy, or temperature, min-p,
/// top-k, top-p and a draw. Min-p comes before the sorted filters, as in vLLM: its bound is relative to the most
/// probable token, which no other filter moves, and so top-p shares out what min-p left.
///
/// A draw inverts the cumulative distribution in id order. Probabilities are integers (units of 2^-40 of the best), a
/// random number is 64 bits of Philox4x32-10 with key `seed` and counter (position, choice, 0, 0), and the target is
/// the upper half of their product with the sum. Sums of integers do not depend on their order, so a GPU, or ranks
/// that hold parts of the vocabulary, choose the same token; a Gumbel race would need a reproducible logarithm.
struct RowSampler {
    let kernels: CPUKernels
    let logits: UnsafeBufferPointer<Float>
    let request: SampleRequest

    /// nil if the row holds NaN or +inf, or nothing may be chosen.
    func sample() -> SampledToken? {
        guard let start = logits.baseAddress, let maximum = maximum(start, logits.count) else { return nil }
        guard let token = choose(start) else { return nil }
        guard let wanted = request.logprobCount else { return SampledToken(token: token) }
        // Raw log-softmax over all rows, padding included (D7).
        let total = kernels.table.pointee.weigh(start, logits.count, maximum, 1, nil)
        let logOfSum = log(Double(total) / Double(martlet_weight_one))
        let logprob = { (id: Int) in Float(Double(logits[id]) - Double(maximum) - logOfSum) }
        let top = best(wanted, start).map { TokenLogprob(token: TokenID($0), logprob: logprob($0)) }
        return SampledToken(token: token, logprob: logprob(Int(token)), top: top)
    }

    /// nil if there is a NaN, or the largest is infinite.
    private func maximum(_ x: UnsafePointer<Float>, _ count: Int) -> Float? {
        var maximum = -Float.infinity
        guard kernels.table.pointee.maximum(x, count, &maximum), maximum.isFinite else { return nil }
        return maximum
    }

    /// Ids of the largest logits, the lower first among equals.
    private func best(_ wanted: Int, _ x: UnsafePointer<Float>) -> [Int] {
        let wanted = min(max(wanted, 0), logits.count)
        let ids = [UInt32](unsafeUninitializedCapacity: wanted) { ids, count in
            count = wanted
            if let ids = ids.baseAddress { kernels.table.pointee.top(x, logits.count, wanted, ids) }
        }
        return ids.map(Int.init)
    }

    // MARK: Penalties and masks

    private func choose(_ raw: UnsafePointer<Float>) -> TokenID? {
        let count = min(request.vocabularyCount, logits.count)
        guard count > 0 else { return nil }
        guard changesLogits else { return choose(raw, count) }
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { scratch in
            guard let x = scratch.baseAddress else { return nil }
            x.initialize(from: raw, count: count)
            penalise(scratch)
            mask(scratch)
            return choose(x, count)
        }
    }

    private var changesLogits: Bool {
        request.repetitionPenalty != 1 || request.presencePenalty != 0 || request.frequencyPenalty != 0
            || !request.logitBias.isEmpty || request.allowedTokens != nil || !request.bannedTokens.isEmpty
    }

    private func penalise(_ x: UnsafeMutableBufferPointer<Float>) {
        if request.repetitionPenalty != 1 {
            let generated = request.generatedCounts.lazy.filter { $0.value > 0 }.map(\.key)
            for token in request.promptTokens.union(generated) where x.indices.contains(Int(token)) {
                let value = x[Int(token)]
                x[Int(token)] = value > 0 ? value / request.repetitionPenalty : value * request.repetitionPenalty
            }
        }
        for (token, count) in request.generatedCounts where count > 0 && x.indices.contains(Int(token)) {
            x[Int(token)] -= request.frequencyPenalty * Float(count)
            x[Int(token)] -= request.presencePenalty
        }
        for (token, bias) in request.logitBias where x.indices.contains(Int(token)) { x[Int(token)] += bias }
    }

    private func mask(_ x: UnsafeMutableBufferPointer<Float>) {
        if let allowed = request.allowedTokens {
            let kept = allowed.filter { x.indices.contains(Int($0)) }.map { (Int($0), x[Int($0)]) }
            x.update(repeating: -.infinity)
            for (token, value) in kept { x[token] = value }
        }
        for token in request.bannedTokens where x.indices.contains(Int(token)) { x[Int(token)] = -.infinity }
    }

    // MARK: Choice

    private func choose(_ x: UnsafePointer<Float>, _ count: Int) -> TokenID? {
        guard let maximum = maximum(x, count) else { return nil }
        if request.temperature == 0 { return TokenID(kernels.table.pointee.first(x, count, maximum)) }
        return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: count) { scratch in
            guard let weights = scratch.baseAddress else { return nil }
            let total = filter(x, count, maximum: maximum, weights)
            let target = random().multipliedFullWidth(by: total).high
            return TokenID(kernels.table.pointee.choose(count, weights, target))
        }
    }

    /// Weights of the tokens that may be drawn, 0 for all others; returns their sum, which is positive: the best
    /// token always stays.
    private func filter(
        _ x: UnsafePointer<Float>, _ count: Int, maximum: Float, _ weights: UnsafeMutablePointer<UInt64>
    ) -> UInt64 {
        let table = kernels.table.pointee
        var total = table.weigh(x, count, maximum, request.temperature, weights)
        if request.minP > 0 {
            let least = (Double(min(request.minP, 1)) * Double(martlet_weight_one)).rounded(.up)
            total = table.keep_above(count, UInt64(least), weights)
        }
        if request.topK > 0, request.topK < count {
            total = table.keep_best(x, count, false, UInt64(request.topK), weights)
        }
        if request.topP < 1 {
            // The sum of many weights may need more than the 53 bits of a double: the clamp keeps it legal.
            let wanted = (Double(max(request.topP, 0)) * Double(total)).rounded(.up)
            total = table.keep_best(x, count, true, min(max(UInt64(wanted), 1), total), weights)
        }
        return total
    }

    private func random() -> UInt64 {
        let counter = [request.position, request.choice, 0, 0]
        let key = [UInt32(truncatingIfNeeded: request.seed), UInt32(truncatingIfNeeded: request.seed >> 32)]
        var words: [UInt32] = [0, 0, 0, 0]
        kernels.table.pointee.philox(counter, key, &words)
        return UInt64(words[0]) | UInt64(words[1]) << 32
    }
}
