import Foundation
import MartletCPU
import MartletCUDA
import MartletCore
import MartletEngine
import MartletModels
import MartletTensor

/// What a precision of activations, or a GPU's arithmetic, costs a model: its next-token distributions on a text,
/// beside others on the same weights. Windows of `context` tokens, of which the later half is counted, as llama.cpp's
/// perplexity does.
struct QualityBench {
    let files: ModelFiles
    let context: Int
    let threads: Int?

    /// What computes.
    enum Side {
        case cpu(ActivationPrecision)
        case gpu(CUDAHardware)

        var name: String {
            switch self {
            case .cpu(let activations): activations.rawValue
            case .gpu(let machine):
                "\(machine.operandType.rawValue.lowercased()) on a GPU"
                    + (machine.eightBits.map { ", many rows in \($0.rawValue)" } ?? "")
            }
        }
    }

    /// Of the rows of all windows.
    struct Finding: Equatable {
        var tokens = 0
        /// Of the text's own tokens, and with the other activations.
        var perplexity = 0.0
        var basePerplexity = 0.0
        /// Mean Kullback-Leibler divergence from the distributions of the base, in nats.
        var divergence = 0.0
        /// The share of rows whose most probable token is the same.
        var agreement = 0.0
    }

    private protocol LogitReader {
        /// Logits of `rows` of the window, [rows.count * vocabulary].
        func logits(of window: ArraySlice<TokenID>, rows: Range<Int>) throws -> [Float]
    }

    /// A decoder with weights and a cache of its own.
    private struct Reader<B: Backend>: LogitReader {
        let decoder: TextDecoder<B>
        let cache: B.KVCache
        let blocks: [BlockID]

        func logits(of window: ArraySlice<TokenID>, rows: Range<Int>) throws -> [Float] {
            try decoder.embed(Array(window))
            var positions = RotaryPositions()
            SequencePositions(images: []).append(0..<window.count, to: &positions)
            let batch = AttentionBatch(segments: [.init(rows: 0..<window.count, start: 0, blocks: blocks)])
            try decoder.run(positions: positions, batch: batch, cache: cache) { _ in }
            return try decoder.readLogits(of: Array(rows))
        }
    }

    /// Compares `side` with `base` on `tokens`; a rest that does not fill a window is left out. Throws what loading
    /// throws.
    func compare(_ side: Side, with base: Side, on tokens: [TokenID]) throws -> Finding {
        let readers = try [reader(base), reader(side)]
        let width = files.configuration.decoder.vocabularyRows
        let rows = context / 2..<context - 1
        var sums = Sums()
        for start in stride(from: 0, through: tokens.count - context, by: context) {
            let window = tokens[start..<start + context]
            let read = try readers.map { try $0.logits(of: window, rows: rows) }
            for (index, row) in rows.enumerated() {
                let cut = index * width..<(index + 1) * width
                sums.add(read[0][cut], read[1][cut], next: Int(window[start + row + 1]))
            }
        }
        return sums.finding
    }

    private func reader(_ side: Side) throws -> any LogitReader {
        switch side {
        case .cpu(let activations):
            try reader(CPUBackend(threads: threads, activations: activations), cacheType: .f32)
        case .gpu(let machine):
            try reader(machine.soleBackend(), cacheType: machine.operandType)
        }
    }

    private func reader<B: Backend>(_ backend: B, cacheType: DType) throws -> Reader<B> {
        let configuration = files.configuration.decoder
        let loader = WeightLoader(backend: backend, source: files.weights, dtype: nil, quantization: .none)
        let blockSize = 16
        let blockCount = (context + blockSize - 1) / blockSize
        return try Reader(
            decoder: TextDecoder(
                backend: backend, configuration: configuration, weights: DecoderWeights(loader, configuration),
                maxRows: context),
            cache: backend.makeKVCache(
                layers: configuration.layerCount, heads: configuration.heads, blockCount: blockCount,
                blockSize: blockSize, dtype: cacheType),
            blocks: (0..<blockCount).map(BlockID.init))
    }

    /// Sums over rows of logits.
    struct Sums {
        private var count = 0
        private var surprise = 0.0, baseSurprise = 0.0, divergence = 0.0
        private var agreements = 0

        /// A row of the base and one of what is compared; `next` is the token that follows in the text.
        mutating func add(_ base: ArraySlice<Float>, _ other: ArraySlice<Float>, next: Int) {
            let left = LogSoftmax(base), right = LogSoftmax(other)
            count += 1
            baseSurprise -= left[next]
            surprise -= right[next]
            if left.best == right.best { agreements += 1 }
            var sum = 0.0
            for token in 0..<base.count { sum += exp(left[token]) * (left[token] - right[token]) }
            divergence += sum
        }

        var finding: Finding {
            guard count > 0 else { return Finding() }
            let rows = Double(count)
            return Finding(
                tokens: count, perplexity: exp(surprise / rows), basePerplexity: exp(baseSurprise / rows),
                divergence: divergence / rows, agreement: Double(agreements) / rows)
        }
    }

    /// Logits as log-probabilities.
    private struct LogSoftmax {
        private let logits: ArraySlice<Float>
        private let logOfSum: Double
        let best: Int

        init(_ logits: ArraySlice<Float>) {
            self.logits = logits
            var maximum = -Float.infinity, best = 0
            for (index, value) in logits.enumerated() where value > maximum { (maximum, best) = (value, index) }
            self.best = best
            logOfSum = Double(maximum) + log(logits.reduce(0.0) { $0 + exp(Double($1 - maximum)) })
        }

        subscript(token: Int) -> Double { Double(logits[logits.startIndex + token]) - logOfSum }
    }
}
