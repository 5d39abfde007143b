import CMartletKernels
import Foundation
import MartletCore
import MartletTensor
import Testing

@testable import MartletCPU

@Suite struct SamplingTests {
    private func request(_ count: Int, _ change: (inout SampleRequest) -> Void = { _ in }) -> SampleRequest {
        var request = SampleRequest(vocabularyCount: count)
        change(&request)
        return request
    }

    private func sample(_ logits: [Float], isa: String? = nil, _ requests: [SampleRequest]) throws -> [SampledToken?] {
        let backend = try CPUBackend(threads: 2, isa: isa)
        let rows = [[Float]](repeating: logits, count: requests.count).flatMap { $0 }
        return backend.sample(try backend.activation(rows, width: logits.count), requests)
    }

    // MARK: Greedy, penalties, masks

    @Test(arguments: CPUKernels.available)
    func greedyTakesTheLowestIDAmongEquals(isa: String) throws {
        for width in [1, 7, 8, 33, 100] {
            var logits = [Float](repeating: -1, count: width)
            logits[width - 1] = 5
            logits[width / 2] = 5
            #expect(try sample(logits, isa: isa, [request(width)])[0]?.token == TokenID(width / 2))
        }
        #expect(try sample([0, -0.0], isa: isa, [request(2)])[0]?.token == 0)
    }

    @Test(arguments: CPUKernels.available)
    func rowsThatAreNotNumbersGiveNil(isa: String) throws {
        for bad in [Float.nan, -.nan, .infinity] {
            for at in [0, 5, 16, 20] {
                var logits = [Float](repeating: 1, count: 21)
                logits[at] = bad
                #expect(try sample(logits, isa: isa, [request(21)]) == [nil], "\(bad) at \(at)")
                // Also where the tokenizer has no such row.
                #expect(try sample(logits, isa: isa, [request(4)]) == [nil])
            }
        }
        #expect(try sample([-.infinity, -.infinity], isa: isa, [request(2)]) == [nil])
        #expect(try sample([-.infinity, 0], isa: isa, [request(2)])[0]?.token == 1)
    }

    @Test func penaltiesActUnderGreedy() throws {
        let logits: [Float] = [2, 1.5, -1, -1.2]
        func chosen(_ change: (inout SampleRequest) -> Void) throws -> TokenID? {
            try sample(logits, [request(4, change)])[0]?.token
        }
        #expect(try chosen { _ in } == 0)
        #expect(try chosen { $0.repetitionPenalty = 2; $0.promptTokens = [0] } == 1)
        #expect(try chosen { $0.repetitionPenalty = 2; $0.generatedCounts = [0: 1] } == 1)
        #expect(try chosen { $0.presencePenalty = 0.4; $0.generatedCounts = [0: 9] } == 0)
        #expect(try chosen { $0.presencePenalty = 0.6; $0.generatedCounts = [0: 9] } == 1)
        #expect(try chosen { $0.frequencyPenalty = 0.2; $0.generatedCounts = [0: 2] } == 0)
        #expect(try chosen { $0.frequencyPenalty = 0.2; $0.generatedCounts = [0: 3] } == 1)
        // The prompt does not count for presence and frequency.
        #expect(try chosen { $0.presencePenalty = 2; $0.promptTokens = [0] } == 0)
        #expect(try chosen { $0.logitBias = [2: 4] } == 2)
        #expect(try chosen { $0.allowedTokens = [3, 2] } == 2)
        #expect(try chosen { $0.bannedTokens = [0, 1] } == 2)
        #expect(try chosen { $0.allowedTokens = []  } == nil)
        // Negative logits are multiplied: 2 falls below 3.
        #expect(try chosen { $0.bannedTokens = [0, 1]; $0.repetitionPenalty = 1.3; $0.promptTokens = [2] } == 3)
        // Ids outside the row are ignored.
        #expect(try chosen { $0.logitBias = [-1: 9, 4: 9, 99: 9]; $0.bannedTokens = [-5, 1000] } == 0)
    }

    @Test func paddingRowsAreNeverChosenButCount() throws {
        let chosen = try sample([0, 1, 9], [request(2) { $0.logprobCount = 2 }])[0]
        #expect(chosen?.token == 1)
        #expect(chosen?.top.map(\.token) == [2, 1])
        let logprob = 1 - log(1 + exp(1.0) + exp(9.0))
        #expect(abs(Double(chosen?.logprob ?? 0) - logprob) < 1e-6)
    }

    // MARK: Log-probabilities

    @Test(arguments: CPUKernels.available)
    func logprobsAreTheRawSoftmax(isa: String) throws {
        var numbers = SeededValues(3)
        var logits = numbers.floats(501, scale: 12)
        // Equals at the top and across the edge of the thirty.
        logits[400] = 11.99
        logits[17] = 11.99
        let edge = logits.sorted(by: >)[29]
        for i in 100..<110 { logits[i] = edge }
        let sampled = try #require(
            try sample(logits, isa: isa, [
                request(501) { $0.logprobCount = 30; $0.temperature = 3; $0.seed = 5; $0.logitBias = [3: 100] }
            ])[0])
        #expect(sampled.token == 3)
        let highest = Double(logits.max() ?? 0)
        let total = logits.reduce(0.0) { $0 + exp(Double($1) - highest) }
        let truth = logits.map { Double($0) - highest - log(total) }
        #expect(abs(Double(sampled.logprob ?? 0) - truth[3]) < 2e-6)
        let order = logits.indices.sorted { (logits[$0], $1) > (logits[$1], $0) }
        #expect(sampled.top.map { Int($0.token) } == Array(order.prefix(30)))
        #expect(sampled.top.map(\.logprob).error(from: order.prefix(30).map { truth[$0] }) < 2e-7)
        let none = try sample(logits, isa: isa, [request(501), request(501) { $0.logprobCount = 0 }])
        #expect(none[0]?.logprob == nil)
        #expect(none[1]?.logprob != nil && none[1]?.top.isEmpty == true)
    }

    // MARK: Draws

    /// Random123's known answers for philox4x32-10.
    @Test func philoxGivesItsKnownAnswers() {
        let answers: [([UInt32], [UInt32], [UInt32])] = [
            ([0, 0, 0, 0], [0, 0], [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]),
            (
                [UInt32](repeating: .max, count: 4), [.max, .max],
                [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD]
            ),
            (
                [0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344], [0xA409_3822, 0x299F_31D0],
                [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1]
            ),
        ]
        for name in CPUKernels.available {
            guard let table = martlet_kernels(name) else { continue }
            for (counter, key, expected) in answers {
                var random: [UInt32] = [0, 0, 0, 0]
                table.pointee.philox(counter, key, &random)
                #expect(random == expected)
            }
        }
    }

    @Test(arguments: CPUKernels.available)
    func drawsFollowTheDistribution(isa: String) throws {
        let logits: [Float] = [1, 3, -2, 0.5, 2.5, 2.5, -40, 1.25]
        let temperature: Float = 1.5
        let weights = logits.map { exp(Double($0 / temperature)) }
        let total = weights.reduce(0, +)
        let draws = 20_000
        var counts = [Int](repeating: 0, count: logits.count)
        for start in stride(from: 0, to: draws, by: 1000) {
            let requests = (start..<start + 1000).map { position in
                request(8) { $0.temperature = temperature; $0.seed = 42; $0.position = UInt32(position) }
            }
            for token in try sample(logits, isa: isa, requests) { counts[Int(token?.token ?? 6)] += 1 }
        }
        for (count, weight) in zip(counts, weights) {
            let p = weight / total
            #expect(abs(Double(count) - Double(draws) * p) <= 5 * (Double(draws) * p * (1 - p)).squareRoot() + 1e-6)
        }
    }

    @Test func seedChoiceAndPositionMakeTheDraw() throws {
        let logits = [Float](repeating: 0, count: 1000)
        func draw(_ seed: UInt64, _ choice: UInt32, _ position: UInt32) -> SampleRequest {
            request(1000) { $0.temperature = 1; $0.seed = seed; $0.choice = choice; $0.position = position }
        }
        let requests = [draw(1, 0, 0), draw(1, 0, 1), draw(1, 1, 0), draw(2, 0, 0), draw(1 << 32 | 1, 0, 0)]
        let together = try sample(logits, requests).map { $0?.token }
        #expect(Set(together).count == 5)
        for (request, token) in zip(requests, together) {
            for isa in CPUKernels.available { #expect(try sample(logits, isa: isa, [request])[0]?.token == token) }
        }
    }

    /// Tokens that draws give, against tokens that the filters of a plain sort keep.
    @Test(arguments: [
        (0, Float(1), Float(0)), (5, 1, 0), (0, 0.7, 0), (0, 1, 0.2), (12, 0.8, 0.1), (1, 1, 0), (0, 0.01, 0),
    ])
    func filtersKeepWhatASortKeeps(filter: (Int, Float, Float)) throws {
        let (topK, topP, minP) = filter
        var numbers = SeededValues(9)
        var logits = numbers.floats(40, scale: 2)
        for i in 20..<24 { logits[i] = logits[3] }
        let requests = (0..<2000).map { position in
            request(40) {
                ($0.temperature, $0.topK, $0.topP, $0.minP) = (0.8, topK, topP, minP)
                $0.position = UInt32(position)
            }
        }
        let drawn = Set(try sample(logits, requests).map { Int($0?.token ?? -1) })
        var kept = logits.indices.sorted { (logits[$0], $1) > (logits[$1], $0) }
        let weights = logits.map { exp(Double($0) / 0.8) }
        kept.removeAll { weights[$0] < Double(minP) * (weights.max() ?? 0) }
        if topK > 0 { kept = Array(kept.prefix(topK)) }
        let mass = kept.reduce(0.0) { $0 + weights[$1] }
        var passed = 0.0
        var nucleus: [Int] = []
        for token in kept where topP >= 1 || passed < Double(topP) * mass {
            nucleus.append(token)
            passed += weights[token]
        }
        #expect(drawn.isSubset(of: nucleus))
        let likely = nucleus.filter { weights[$0] / nucleus.reduce(0) { $0 + weights[$1] } > 0.01 }
        #expect(drawn.isSuperset(of: likely))
    }

    // MARK: Kernels

    @Test(arguments: CPUKernels.available)
    func keepBestKeepsWhatASortKeeps(isa: String) throws {
        let table = try #require(martlet_kernels(isa)).pointee
        var numbers = SeededValues(12)
        for count in [1, 9, 300] {
            // Rounded, so that there are many equals; negative zeros too.
            let x = numbers.floats(count, scale: 3).map { ($0 * 4).rounded() / 4 }
            let maximum = x.max() ?? 0
            var weights = [UInt64](repeating: 0, count: count)
            let total = table.weigh(x, count, maximum, 1, &weights)
            #expect(total == weights.reduce(0, +))
            let order = x.indices.sorted { (x[$0], $1) > (x[$1], $0) }
            for wanted in [1, 2, count / 2 + 1, count] {
                var some = weights
                let sum = table.keep_best(x, count, false, UInt64(wanted), &some)
                #expect(Set(some.indices.filter { some[$0] > 0 }) == Set(order.prefix(wanted)))
                #expect(sum == some.reduce(0, +))
            }
            for share in [0.0001, 0.3, 0.9, 1] {
                let wanted = max(1, UInt64(share * Double(total)))
                var some = weights
                _ = table.keep_best(x, count, true, wanted, &some)
                var passed: UInt64 = 0
                let kept = order.prefix { token in
                    defer { passed += weights[token] }
                    return passed < wanted
                }
                #expect(Set(some.indices.filter { some[$0] > 0 }) == Set(kept))
            }
        }
    }

    @Test(arguments: CPUKernels.available)
    func weightsAreTheBitsOfScalar(isa: String) throws {
        let table = try #require(martlet_kernels(isa)).pointee, twin = try #require(martlet_kernels("scalar")).pointee
        var numbers = SeededValues(13)
        for count in [1, 8, 31, 1000] {
            var x = numbers.floats(count, scale: 40)
            x[count / 2] = -.infinity
            x[count - 1] = 40
            for temperature in [Float(1), 0.7, 1e-6, 50] {
                var weights = [UInt64](repeating: 1, count: count), truth = weights
                let sum = table.weigh(x, count, 40, temperature, &weights)
                #expect(sum == twin.weigh(x, count, 40, temperature, &truth))
                #expect(weights == truth)
                #expect(table.weigh(x, count, 40, temperature, nil) == sum)
                for (value, weight) in zip(x, weights) {
                    let e = exp(Double((value - 40) / temperature))
                    #expect(abs(Double(weight) / Double(martlet_weight_one) - e) <= 2e-7 * e + 1e-12)
                }
            }
        }
    }
}
