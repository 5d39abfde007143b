import MartletCPU
import MartletCUDA
import MartletCore
import MartletTensor
import MartletTestSupport
import Testing

/// The device chooses what the CPU chooses, to the bit (D12).
@Suite struct SamplingTests {
    private func request(_ generator: inout SeededGenerator, width: Int) -> SampleRequest {
        var request = SampleRequest(vocabularyCount: width - Int.random(in: 0...2, using: &generator))
        func pick<Value>(_ values: Value...) -> Value { values.randomElement(using: &generator) ?? values[0] }
        func some(_ count: Int) -> [TokenID] {
            (0..<count).map { _ in TokenID.random(in: 0..<TokenID(width) + 2, using: &generator) }
        }
        request.temperature = pick(0, 0.7, 1, 1.6)
        request.topK = pick(0, 1, 5, width)
        request.topP = pick(1, 0.9, 0.3)
        request.minP = pick(0, 0.05)
        request.seed = generator.next()
        request.choice = pick(0, 1)
        request.position = UInt32.random(in: 0..<9000, using: &generator)
        request.presencePenalty = pick(0, 0.5)
        request.frequencyPenalty = pick(0, 0.2, -0.3)
        request.repetitionPenalty = pick(1, 1.1, 0.8)
        for token in some(4) { request.generatedCounts[token, default: 0] += 1 }
        request.promptTokens = Set(some(5))
        for token in some(pick(0, 2)) { request.logitBias[token] = pick(-100, 1.5) }
        request.allowedTokens = pick(nil, nil, some(6))
        request.bannedTokens = some(pick(0, 2))
        request.logprobCount = pick(nil, 0, 3)
        return request
    }

    @Test(arguments: [(7, 60), (40, 100), (1000, 20), (4099, 4)])
    func choicesAgree(_ width: Int, _ steps: Int) throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(.f32, on: gpus)
            var generator = SeededGenerator(seed: UInt64(width))
            let logits = try pair.empty(8, width, padding: 1)
            for step in 0..<steps {
                var values = generator.floats(8 * width, in: -6...6)
                // Ties, and a row that is no numbers.
                for index in stride(from: 0, to: values.count, by: 3) { values[index] = values[index].rounded() }
                if step % 10 == 9 { values[2 * width + 1] = .nan }
                if step % 10 == 8 { values[3 * width + 2] = .infinity }
                let requests = (0..<8).map { _ in request(&generator, width: width) }
                pair.gpu.write(values, to: logits.gpu)
                pair.cpu.write(values, to: logits.cpu)
                let found = try pair.gpu.sample(logits.gpu, requests)
                let truth = pair.cpu.sample(logits.cpu, requests)
                for row in 0..<8 where found[row] != truth[row] {
                    let told = "\(found[row].debugDescription) for \(truth[row].debugDescription)"
                    Issue.record("step \(step), row \(row): \(told) of \(requests[row])")
                    return
                }
            }
        }
    }

    @Test func rowsAsWideAsAVocabulary() throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(.f32, on: gpus)
            var generator = SeededGenerator(seed: 77)
            let width = 151_552, logits = try pair.empty(2, width)
            let values = generator.floats(2 * width, in: -9...9)
            pair.gpu.write(values, to: logits.gpu)
            pair.cpu.write(values, to: logits.cpu)
            var requests = [request(&generator, width: width), request(&generator, width: width)]
            requests[0].temperature = 1
            requests[1].logprobCount = 20
            #expect(try pair.gpu.sample(logits.gpu, requests) == pair.cpu.sample(logits.cpu, requests))
        }
    }
}
