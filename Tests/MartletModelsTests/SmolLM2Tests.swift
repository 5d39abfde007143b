import Foundation
import MartletCPU
import MartletCore
import MartletEngine
import MartletTensor
import Testing

@testable import MartletModels

private let smolLM2Path = ProcessInfo.processInfo.environment["MARTLET_SMOLLM2"]

/// A real, trained model against llama.cpp on the same weights in f32 (Fixtures/README.md). Needs the GGUF file that
/// Tools/smollm2.sh fetches; `make test` names it in MARTLET_SMOLLM2.
@Suite(.enabled(if: smolLM2Path != nil, "MARTLET_SMOLLM2 names no file"))
struct SmolLM2Tests {
    private static let fixture: JSONValue? = {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "Fixtures/smollm2/llamacpp.json")
        return (try? Data(contentsOf: file)).flatMap { try? JSONParser.parse(Array($0)) }
    }()

    private func model() throws -> TinyModel {
        let files = try ModelFiles.open(try #require(smolLM2Path), environment: [:])
        return TinyModel(configuration: files.configuration, source: files.weights)
    }

    private func tokens(_ value: JSONValue?) -> [TokenID] {
        value?.array?.compactMap(\.integer).map(TokenID.init) ?? []
    }

    @Test func greedyTokensEqualThoseOfLlamaCpp() async throws {
        try await expectGreedyTokens(try model().runner(CPUBackend(), blockCount: 128, slotCount: 16))
    }

    /// Nine query and three key/value heads.
    @Test func greedyTokensOverThreeRanks() async throws {
        try await expectGreedyTokens(RankedModel(model(), tensor: 3).runner(blockCount: 128, slotCount: 16))
    }

    /// Thirty layers, cut where the bytes of a step are even, and where the command line says.
    @Test(arguments: [(2, nil), (3, nil), (3, [1, 20, 9])] as [(Int, [Int]?)]) func greedyTokensInStages(
        pipeline: Int, partition: [Int]?
    ) async throws {
        let ranked = try RankedModel(model(), pipeline: pipeline, layerPartition: partition)
        try await expectGreedyTokens(ranked.runner(blockCount: 128, slotCount: 16))
    }

    @Test func twoRanksAreRefusedWithTheSizesThatWork() throws {
        let model = try model()
        let error = #expect(throws: ParallelError.self) { try RankedModel(model, tensor: 2) }
        #expect(error?.flag == "--tensor-parallel-size")
        #expect(error?.sizes == [1, 3, 9])
    }

    private func expectGreedyTokens(_ runner: sending some ModelRunner & SendableMetatype) async throws {
        let prompts = try #require(Self.fixture?["prompts"]?.array)
        #expect(prompts.count == 10)
        let engine = Engine(configuration: EngineConfiguration(), runner: runner)
        try await withThrowingTaskGroup(of: Void.self) { group in
            let loop = Task { await engine.run() }
            defer { loop.cancel() }
            for prompt in prompts {
                let expected = tokens(prompt["tokens"])
                var sampling = SamplingParameters()
                sampling.temperature = 0
                sampling.maxTokens = expected.count
                sampling.ignoresEndOfGeneration = true
                let request = GenerationRequest(prompt: Prompt(tokens: tokens(prompt["prompt"])), sampling: sampling)
                group.addTask {
                    let outcome = try await engine.complete(request)[0]
                    #expect(expected.count == 64)
                    #expect(outcome.tokens.map(\.token) == expected)
                }
            }
            try await group.waitForAll()
        }
    }

    /// Windows of `context` tokens, the second half of each counted, as llama-perplexity does.
    @Test(arguments: ActivationPrecision.allCases)
    func perplexityIsThatOfLlamaCpp(activations: ActivationPrecision) throws {
        let fixture = try #require(Self.fixture)
        let context = try #require(fixture["context"]?.integer), text = tokens(fixture["text_tokens"])
        let expected = try #require(fixture["perplexity"]?.number)
        let model = try model(), backend = try CPUBackend(activations: activations)
        var sum = 0.0, count = 0
        for start in stride(from: 0, through: text.count - context, by: context) {
            let window = Array(text[start..<(start + context)]), rows = Array((context / 2)..<(context - 1))
            let logits = try model.logits(of: Prompt(tokens: window), rows: rows, chunk: context, backend: backend)
            let width = model.configuration.decoder.vocabularyRows
            for (index, row) in rows.enumerated() {
                let values = logits[(index * width)..<((index + 1) * width)]
                let best = values.max() ?? 0
                let total = values.reduce(0.0) { $0 + exp(Double($1 - best)) }
                sum -= Double(values[values.startIndex + Int(window[row + 1])] - best) - log(total)
                count += 1
            }
        }
        let perplexity = exp(sum / Double(count))
        print("SmolLM2 perplexity \(perplexity) with \(activations) activations, llama.cpp in f32 \(expected)")
        #expect(count > 500)
        #expect(abs(perplexity / expected - 1) < 0.01)
    }
}
