import Foundation
import MartletCPU
import MartletCore
import MartletTensor
import Testing

@testable import MartletModels

private let smolLM2Path = ProcessInfo.processInfo.environment["MARTLET_SMOLLM2"]

/// What quantising costs a real model: its perplexity on the fixture's text, and how far its next-token distributions
/// are from those of the plain weights (mean Kullback-Leibler divergence, in nats). The plain weights are the values of
/// SmolLM2's GGUF file as f32.
@Suite(.enabled(if: smolLM2Path != nil, "MARTLET_SMOLLM2 names no file"))
struct QuantizationQualityTests {
    /// Log-probabilities [rows, vocabulary] after every token of the text's second halves of windows.
    private struct Reading {
        var rows: [[Float]] = []
        var next: [Int] = []
        /// The most probable token of each row.
        var best: [Int] = []

        var perplexity: Double {
            exp(-zip(rows, next).reduce(0) { $0 + Double($1.0[$1.1]) } / Double(rows.count))
        }

        /// Of `other` from this.
        func divergence(of other: Reading) -> Double {
            zip(rows, other.rows).reduce(0) { sum, pair in
                pair.0.withUnsafeBufferPointer { left in
                    pair.1.withUnsafeBufferPointer { right in
                        guard let left = left.baseAddress, let right = right.baseAddress else { return sum }
                        var row = 0.0, index = 0
                        while index < pair.0.count {
                            row += Double(expf(left[index]) * (left[index] - right[index]))
                            index += 1
                        }
                        return sum + row
                    }
                }
            } / Double(rows.count)
        }

        /// The share of rows whose most probable token is the same.
        func agreement(with other: Reading) -> Double {
            Double(zip(best, other.best).count { $0 == $1 }) / Double(rows.count)
        }
    }

    /// With bare pointers: a debug build takes a minute for the same over collections.
    private static func logSoftmax(_ logits: [Float]) -> (values: [Float], best: Int) {
        var values = logits, place = 0
        values.withUnsafeMutableBufferPointer { buffer in
            guard let x = buffer.baseAddress else { return }
            var best = -Float.infinity, sum: Float = 0, index = 0
            while index < buffer.count {
                if x[index] > best { (best, place) = (x[index], index) }
                index += 1
            }
            index = 0
            while index < buffer.count {
                sum += expf(x[index] - best)
                index += 1
            }
            let total = best + logf(sum)
            index = 0
            while index < buffer.count {
                x[index] -= total
                index += 1
            }
        }
        return (values, place)
    }

    private func read(
        _ quantization: WeightQuantization, _ activations: ActivationPrecision, cacheType: DType = .f32
    ) throws -> Reading {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "Fixtures/smollm2/llamacpp.json")
        let fixture = try JSONParser.parse(Array(Data(contentsOf: file)))
        let context = try #require(fixture["context"]?.integer)
        let text = try #require(fixture["text_tokens"]?.array).compactMap(\.integer).map(TokenID.init)
        let files = try ModelFiles.open(try #require(smolLM2Path), environment: [:])
        let model = TinyModel(
            configuration: files.configuration, source: PlainWeights(of: files.weights), quantization: quantization)
        let backend = try CPUBackend(activations: activations)
        let width = files.configuration.decoder.vocabularyRows
        var reading = Reading()
        for start in stride(from: 0, through: text.count - context, by: context) {
            let window = Array(text[start..<(start + context)]), rows = Array((context / 2)..<(context - 1))
            let logits = try model.logits(of: Prompt(tokens: window), rows: rows, chunk: context, backend: backend,
                cacheType: cacheType)
            for (index, row) in rows.enumerated() {
                let (values, best) = Self.logSoftmax(Array(logits[(index * width)..<((index + 1) * width)]))
                reading.rows.append(values)
                reading.best.append(best)
                reading.next.append(Int(window[row + 1]))
            }
        }
        return reading
    }

    /// Bits of a weight: over the decoder's layers, and over all matrices.
    private func bits(_ quantization: WeightQuantization) throws -> (layers: Double, all: Double) {
        let files = try ModelFiles.open(try #require(smolLM2Path), environment: [:])
        let plain = PlainWeights(of: files.weights)
        func share(_ tensors: [TensorInfo]) -> Double {
            let bytes = tensors.reduce(0) { sum, info in
                let stored = quantization.target(of: info) ?? info.dtype
                return sum + info.elementCount / stored.blockElements * stored.blockBytes
            }
            return 8 * Double(bytes) / Double(tensors.reduce(0) { $0 + $1.elementCount })
        }
        let matrices = files.configuration.tensors(of: plain).filter(\.isMatrix)
        return (share(matrices.filter { $0.name.contains(".layers.") }), share(matrices))
    }

    @Test func quantisedWeightsSayNearlyTheSame() throws {
        let plain = try read(.none, .f32)
        print("SmolLM2, plain f32: perplexity \(plain.perplexity)")
        for (quantization, activations, bound, ratio) in [
            (WeightQuantization.int8, ActivationPrecision.int8, 0.01, 1.01), (.int4, .int8, 0.2, 1.2),
        ] {
            let found = try read(quantization, activations)
            let divergence = plain.divergence(of: found)
            print(
                "SmolLM2, \(quantization) \(try bits(quantization)) bits, activations \(activations):",
                "perplexity \(found.perplexity), divergence \(divergence),",
                "same first token \(plain.agreement(with: found))")
            #expect(divergence > 0 && divergence < bound)
            #expect(found.perplexity / plain.perplexity < ratio)
        }
    }

    /// Keys and values are rounded, weights and activations are not: what is measured is the cache alone.
    @Test func smallCachesSayNearlyTheSame() throws {
        let whole = try read(.none, .f32)
        print("SmolLM2, f32 cache: perplexity \(whole.perplexity)")
        for (cacheType, bound) in [(DType.f16, 1e-5), (.bf16, 1e-3), (.q8_0, 1e-2)] {
            let found = try read(.none, .f32, cacheType: cacheType)
            let divergence = whole.divergence(of: found)
            print(
                "SmolLM2, \(cacheType) cache: perplexity \(found.perplexity), divergence \(divergence),",
                "same first token \(whole.agreement(with: found))")
            #expect(divergence > 0 && divergence < bound)
            #expect(found.perplexity / whole.perplexity < 1 + bound)
        }
    }
}
