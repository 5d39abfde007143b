import CCUDA
import Foundation
import MartletCore
import MartletTensor

// MARK: - Choice

extension CUDABackend {
    /// Tokens that are on their way to the host.
    package struct Choice {
        fileprivate let rows: SampleRows
        fileprivate let place: ResultPlaces.Place
    }

    package func choose(_ logits: Activation<Storage>, _ requests: [SampleRequest]) throws -> Choice {
        precondition(logits.rows == requests.count, "choose: one request a row")
        precondition(logits.dtype == .f32, "choose: of f32")
        return try performThrowing {
            let rows = SampleRows(requests, width: logits.width)
            let place = try resultPlaces.take(rows.resultBytes)
            if !requests.isEmpty { try sample(logits, rows, to: place) }
            try place.arrived.record()
            return Choice(rows: rows, place: place)
        }
    }

    package func tokens(of choice: Choice) throws -> [SampledToken?] {
        try performThrowing {
            try choice.place.arrived.synchronize()
            resultPlaces.giveBack(choice.place)
            return choice.rows.rows.indices.map {
                choice.rows.token(ofRow: $0, results: choice.place.memory.start)
            }
        }
    }

    private func sample(_ logits: Activation<Storage>, _ staged: SampleRows, to place: ResultPlaces.Place) throws {
        let rows = logits.rows, width = logits.width
        try kept.reserve(staged.placeCount)
        // Tokens bring more of them: the power of two above, or working memory would move with every step.
        let editRoom = 1 << (Int.bitWidth - staged.edits.count.leadingZeroBitCount)
        let edits = try scratch.address(
            .sampleEdits, bytes: editRoom * MemoryLayout<martlet_sample_edit>.stride)
        try staging.copy(staged.edits, to: edits)
        let results = try scratch.address(.sampleResults, bytes: staged.resultBytes)
        try launch(
            KernelName(.sample), grid: (rows, 1, 1), threads: 1024, logits.address, logits.kernelStride,
            logits.kernelWidth, staging.put(staged.rows), edits, kept.address,
            scratch.address(.adjustedLogits, bytes: rows * width * MemoryLayout<Float>.stride),
            scratch.address(.tokenWeights, bytes: rows * width * MemoryLayout<UInt64>.stride), results,
            Int32(staged.topCapacity), results + UInt64(staged.topIDs), results + UInt64(staged.topLogits))
        try stream.copy(staged.resultBytes, from: results, to: place.memory.start)
    }
}

/// Requests as the device takes them, and what it tells of them.
private struct SampleRows {
    private(set) var rows: [martlet_sample_request] = []
    private(set) var edits: [martlet_sample_edit] = []
    /// Of every row, room for so many of the best.
    let topCapacity: Int

    init(_ requests: [SampleRequest], width: Int) {
        topCapacity = requests.lazy.map { min(max($0.logprobCount ?? 0, 0), width) }.max() ?? 0
        for request in requests {
            let own = Self.edits(of: request)
            var row = martlet_sample_request()
            row.temperature = request.temperature
            row.top_p = request.topP
            row.top_k = Int32(clamping: request.topK)
            row.vocabulary_count = Int32(min(request.vocabularyCount, width))
            if request.minP > 0 { row.least = UInt64((Double(min(request.minP, 1)) * Double(1 << 40)).rounded(.up)) }
            row.seed = request.seed
            row.choice = request.choice
            row.position = request.position
            row.repetition = request.repetitionPenalty
            row.frequency = request.frequencyPenalty
            row.presence = request.presencePenalty
            row.edit_first = Int32(edits.count)
            row.edit_count = Int32(own.count)
            row.only_allowed = request.allowedTokens == nil ? 0 : 1
            row.logprob_count = Int32(request.logprobCount.map { min(max($0, 0), width) } ?? -1)
            row.place = Int32(request.place ?? -1)
            row.counts_kept = request.countsKept ? 1 : 0
            rows.append(row)
            edits += own
        }
    }

    /// One for each token that penalties, bias or masks touch.
    private static func edits(of request: SampleRequest) -> [martlet_sample_edit] {
        var edits: [TokenID: martlet_sample_edit] = [:]
        func edit(_ token: TokenID, _ body: (inout martlet_sample_edit) -> Void) {
            guard token >= 0 else { return }
            var found = edits[token] ?? martlet_sample_edit(id: UInt32(token), flags: 0, count: 0, bias: 0)
            body(&found)
            edits[token] = found
        }
        func mark(_ token: TokenID, _ flag: Int) { edit(token) { $0.flags |= UInt32(flag) } }
        if request.repetitionPenalty != 1 { for token in request.promptTokens { mark(token, MARTLET_EDIT_REPEATED) } }
        for (token, count) in request.generatedCounts where count > 0 {
            edit(token) {
                $0.count = count
                if request.repetitionPenalty != 1 { $0.flags |= UInt32(MARTLET_EDIT_REPEATED) }
            }
        }
        for (token, bias) in request.logitBias {
            edit(token) {
                $0.bias = bias
                $0.flags |= UInt32(MARTLET_EDIT_BIASED)
            }
        }
        for token in request.allowedTokens ?? [] { mark(token, MARTLET_EDIT_ALLOWED) }
        for token in request.bannedTokens { mark(token, MARTLET_EDIT_BANNED) }
        return Array(edits.values)
    }

    /// Places of kept tokens that are named: those below.
    var placeCount: Int { rows.lazy.map { Int($0.place) + 1 }.max() ?? 0 }

    // MARK: Results

    /// Where the ids of the best begin, in bytes behind the first result, and their logits; [rows, topCapacity] each.
    var topIDs: Int { rows.count * MemoryLayout<martlet_sample_result>.stride }
    var topLogits: Int { topIDs + rows.count * topCapacity * 4 }
    var resultBytes: Int { topLogits + rows.count * topCapacity * 4 }

    /// nil where nothing could be chosen. Logarithms are the host's, so that log-probabilities have its bits.
    func token(ofRow row: Int, results: UnsafeRawPointer) -> SampledToken? {
        let result = results.load(
            fromByteOffset: row * MemoryLayout<martlet_sample_result>.stride, as: martlet_sample_result.self)
        guard result.token >= 0 else { return nil }
        guard rows[row].logprob_count >= 0 else { return SampledToken(token: TokenID(result.token)) }
        let logOfSum = log(Double(result.total) / Double(1 << 40))
        let logprob = { (logit: Float) in Float(Double(logit) - Double(result.maximum) - logOfSum) }
        let top = (0..<min(Int(result.top_count), topCapacity)).map { index in
            let place = (row * topCapacity + index) * 4
            return TokenLogprob(
                token: TokenID(results.load(fromByteOffset: topIDs + place, as: UInt32.self)),
                logprob: logprob(results.load(fromByteOffset: topLogits + place, as: Float.self)))
        }
        return SampledToken(token: TokenID(result.token), logprob: logprob(result.logit), top: top)
    }
}
