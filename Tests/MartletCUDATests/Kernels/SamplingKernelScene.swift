import CCUDA
import Foundation
import MartletCPU
import MartletCore
import MartletTensor
import MartletTestSupport
import Testing

/// Random rows of logits and random requests with every field, for the device's kernel and for the CPU's sampler.
struct SamplingKernelScene {
    let width: Int
    /// [rows, width].
    private(set) var logits: [Float] = []
    private(set) var requests: [SampleRequest] = []
    /// By place, one a row: what was kept there before; -1: nothing could be chosen.
    private(set) var kept: [Int32] = []

    init(rows: Int, width: Int, seed: UInt64) {
        self.width = width
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<rows {
            logits += Self.row(width, &generator)
            requests.append(Self.request(width, &generator))
            kept.append(Int32.random(in: -1..<Int32(width), using: &generator))
        }
        // Every third row keeps its token, every second of these counts the one before.
        for (row, place) in zip(0..<rows, (0..<rows).reversed()) where row % 3 == 0 {
            requests[row].place = place
            requests[row].countsKept = row % 2 == 0
        }
    }

    // MARK: Rows and requests

    /// Flat and steep rows, rows with many equals, masked ones; now and then one from which nothing can be chosen.
    private static func row(_ width: Int, _ generator: inout SeededGenerator) -> [Float] {
        let steepness: Float = [0.1, 1, 5, 40][Int.random(in: 0..<4, using: &generator)]
        var row: [Float] = generator.floats(width, in: -steepness...steepness)
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: row = row.map { $0.rounded() }
        case 1: row = row.map { ($0 * 4).rounded() / 4 }
        case 2: for _ in 0...width / 20 { row[Int.random(in: 0..<width, using: &generator)] = -.infinity }
        default: break
        }
        switch Int.random(in: 0..<60, using: &generator) {
        case 0: row[Int.random(in: 0..<width, using: &generator)] = .nan
        case 1: row[Int.random(in: 0..<width, using: &generator)] = .infinity
        case 2: row = [Float](repeating: -.infinity, count: width)
        case 3: row = [Float](repeating: -0.0, count: width)
        default: break
        }
        return row
    }

    private static func request(_ width: Int, _ generator: inout SeededGenerator) -> SampleRequest {
        func isOneOf(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &generator) == 0 }
        func share() -> Float { Float.random(in: 0...1, using: &generator) }
        func token() -> TokenID { TokenID.random(in: -2..<TokenID(width) + 3, using: &generator) }
        func tokens() -> [TokenID] { (0..<Int.random(in: 0...min(width, 12), using: &generator)).map { _ in token() } }
        var request = SampleRequest(
            vocabularyCount: isOneOf(3) ? Int.random(in: 0...width + 2, using: &generator) : width)
        request.temperature = isOneOf(4) ? 0 : isOneOf(8) ? 1e-6 : 3 * share()
        if isOneOf(2) { request.topK = Int.random(in: 1...width + 2, using: &generator) }
        if isOneOf(2) { request.topP = isOneOf(8) ? 0 : share() }
        if isOneOf(3) { request.minP = isOneOf(8) ? 1 : share() * share() }
        request.seed = generator.next()
        request.choice = UInt32.random(in: 0...2, using: &generator)
        request.position = UInt32.random(in: 0...9000, using: &generator)
        if isOneOf(2) {
            request.presencePenalty = 4 * share() - 2
            request.frequencyPenalty = 4 * share() - 2
            request.repetitionPenalty = 0.5 + share()
            for token in tokens() {
                request.generatedCounts[token, default: 0] += Int32.random(in: 0...2, using: &generator)
            }
            request.promptTokens = Set(tokens())
        }
        if isOneOf(4) { for token in tokens() { request.logitBias[token] = isOneOf(4) ? -100 : 8 * share() - 4 } }
        if isOneOf(6) { request.allowedTokens = tokens() }
        if isOneOf(6) { request.bannedTokens = tokens() }
        if isOneOf(2) { request.logprobCount = Int.random(in: 0...20, using: &generator) }
        return request
    }

    // MARK: Both sides

    func truth() throws -> [SampledToken?] {
        let backend = try CPUBackend(threads: 1, isa: "scalar")
        let x = try backend.makeActivation(rows: requests.count, width: width)
        backend.write(logits, to: x)
        let counted = requests.map { request in
            var counted = request
            if let place = request.place, request.countsKept, kept[place] >= 0 {
                counted.generatedCounts[kept[place], default: 0] += 1
            }
            return counted
        }
        return backend.sample(x, counted)
    }

    /// What the kernel says with `threads` a block, rows further apart than they are wide.
    func run(threads: Int, on device: EmulatedDevice) throws -> [SampledToken?] {
        let rows = requests.count, stride = width + 3, capacity = 20
        var edits: [martlet_sample_edit] = []
        let packed = requests.map { Self.packed($0, &edits) }
        let padded = (0..<rows).flatMap { logits[$0 * width..<($0 + 1) * width] + [.nan, .nan, .nan] }
        let given = [device.upload(padded), device.upload(packed), device.upload(edits + [martlet_sample_edit()])]
        let adjusted = device.allocate(rows * width * 4), weights = device.allocate(rows * width * 8)
        let places = device.upload(kept)
        let results = device.allocate(rows * MemoryLayout<martlet_sample_result>.stride)
        let topIDs = device.allocate(rows * capacity * 4), topLogits = device.allocate(rows * capacity * 4)
        try device.run(
            "sample", of: "sampling.cu", grid: (rows, 1, 1), threads: threads,
            [
                given[0], Int32(stride), Int32(width), given[1], given[2], places, adjusted, weights, results,
                Int32(capacity), topIDs, topLogits,
            ])
        let found = device.download(rows, of: martlet_sample_result(), at: results)
        let ids = device.download(rows * capacity, of: UInt32(0), at: topIDs)
        let values = device.download(rows * capacity, of: Float(0), at: topLogits)
        let now = device.download(rows, of: Int32(0), at: places)
        for place in 0..<rows {
            let row = requests.firstIndex { $0.place == place }
            #expect(now[place] == (row.map { Int32(found[$0].token) } ?? kept[place]), "place \(place)")
        }
        for address in given + [places, adjusted, weights, results, topIDs, topLogits] { device.free(address) }
        return (0..<rows).map { row in
            let top = row * capacity..<row * capacity + Int(found[row].top_count)
            return Self.token(found[row], requests[row], ids: ids[top], logits: values[top])
        }
    }

    private static func packed(
        _ request: SampleRequest, _ edits: inout [martlet_sample_edit]
    ) -> martlet_sample_request {
        var own: [TokenID: martlet_sample_edit] = [:]
        func edit(_ token: TokenID, _ flag: Int = 0, count: Int32 = 0, bias: Float = 0) {
            var edit = own[token] ?? martlet_sample_edit(id: UInt32(bitPattern: token), flags: 0, count: 0, bias: 0)
            edit.flags |= UInt32(flag)
            edit.count += count
            edit.bias += bias
            own[token] = edit
        }
        let seen = request.promptTokens.union(request.generatedCounts.filter { $0.value > 0 }.keys)
        if request.repetitionPenalty != 1 { for token in seen { edit(token, MARTLET_EDIT_REPEATED) } }
        for (token, count) in request.generatedCounts where count > 0 { edit(token, count: count) }
        for (token, bias) in request.logitBias { edit(token, MARTLET_EDIT_BIASED, bias: bias) }
        for token in request.allowedTokens ?? [] { edit(token, MARTLET_EDIT_ALLOWED) }
        for token in request.bannedTokens { edit(token, MARTLET_EDIT_BANNED) }
        let least = request.minP > 0 ? UInt64((Double(request.minP) * Double(1 << 40)).rounded(.up)) : 0
        let packed = martlet_sample_request(
            temperature: request.temperature, top_p: request.topP, top_k: Int32(request.topK),
            vocabulary_count: Int32(request.vocabularyCount), least: least, seed: request.seed, choice: request.choice,
            position: request.position, repetition: request.repetitionPenalty, frequency: request.frequencyPenalty,
            presence: request.presencePenalty, edit_first: Int32(edits.count), edit_count: Int32(own.count),
            only_allowed: request.allowedTokens == nil ? 0 : 1, logprob_count: Int32(request.logprobCount ?? -1),
            place: Int32(request.place ?? -1), counts_kept: request.countsKept ? 1 : 0)
        edits += own.values
        return packed
    }

    private static func token(
        _ result: martlet_sample_result, _ request: SampleRequest, ids: ArraySlice<UInt32>, logits: ArraySlice<Float>
    ) -> SampledToken? {
        guard result.token >= 0 else { return nil }
        guard request.logprobCount != nil else { return SampledToken(token: TokenID(result.token)) }
        let logOfSum = log(Double(result.total) / Double(1 << 40))
        let logprob = { (logit: Float) in Float(Double(logit) - Double(result.maximum) - logOfSum) }
        return SampledToken(
            token: TokenID(result.token), logprob: logprob(result.logit),
            top: zip(ids, logits).map { TokenLogprob(token: TokenID($0), logprob: logprob($1)) })
    }
}
