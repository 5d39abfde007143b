import MartletCore
import MartletTensor

/// The decoder over one step's rows: embeddings in, hidden states and logits out (MODEL.md 1.3). One matrix
/// product a layer and weight serves every sequence of the step. A rank has its heads, its share of the MLP and its
/// rows of the vocabulary; the residual stream and the logits are whole on each of them. A stage of a pipeline has some
/// of the layers: it gets the residual stream of the stage before, unless it is the first and embeds, and the last one
/// has the logits.
package final class TextDecoder<B: Backend> {
    package let configuration: DecoderConfiguration
    private let backend: B
    private let weights: DecoderWeights<B>
    /// Of every rank, in order: the columns of the logits that each computes.
    private let vocabularyWidths: [Int]
    /// Rows that a step may hold.
    let maxRows: Int

    /// What of the model this rank has.
    package var shard: Shard { weights.shard }

    /// Residual stream, its norm that products read, and the branch that is added to it: [maxRows, hidden].
    private let hidden, normed, branch: Activation<B.Storage>
    private let rotary: Activation<B.Storage>
    /// [maxRows, fused q, k, v width] and [maxRows, query width].
    private let fused, attended: Activation<B.Storage>
    /// The MLP runs in strips: its inner width is the widest of all.
    private let stripRows: Int
    private let gateUp, inner: Activation<B.Storage>
    /// The head runs in strips too: a row is as wide as the vocabulary.
    private let headRows: Int
    /// nil before the last stage.
    private let selected, selectedNormed, logits: Activation<B.Storage>?

    /// Scratch memory for steps of up to `maxRows` rows.
    package init(backend: B, configuration: DecoderConfiguration, weights: DecoderWeights<B>, maxRows: Int) throws {
        self.backend = backend
        self.configuration = configuration
        self.weights = weights
        self.maxRows = maxRows
        stripRows = min(maxRows, 512)
        headRows = min(maxRows, 32)
        let size = configuration.hiddenSize, shard = weights.shard
        vocabularyWidths = TensorCut.vocabulary(configuration, over: backend.rankCount).map(\.count)
        hidden = try backend.makeActivation(rows: maxRows, width: size)
        normed = try backend.makeActivation(rows: maxRows, width: size, role: .operand)
        branch = try backend.makeActivation(rows: maxRows, width: size)
        rotary = try backend.makeActivation(rows: maxRows, width: configuration.rotary.dimensions)
        fused = try backend.makeActivation(rows: maxRows, width: shard.heads.fusedWidth, role: .operand)
        attended = try backend.makeActivation(rows: maxRows, width: shard.heads.queryWidth, role: .operand)
        gateUp = try backend.makeActivation(rows: stripRows, width: 2 * shard.intermediate.count, role: .operand)
        inner = try backend.makeActivation(rows: stripRows, width: shard.intermediate.count, role: .operand)
        let heads = shard.isLastStage ? headRows : nil
        selected = try heads.map { try backend.makeActivation(rows: $0, width: size) }
        selectedNormed = try heads.map { try backend.makeActivation(rows: $0, width: size, role: .operand) }
        logits = try heads.map { try backend.makeActivation(rows: $0, width: configuration.vocabularyRows) }
    }

    /// Embeddings of `tokens`, kept ones among them (`KeptToken`), the first step of `run` on the first stage. Rows
    /// that stand for image patches are overwritten by `replaceRows`.
    package func embed(_ tokens: [TokenID]) throws {
        precondition(tokens.count <= maxRows, "\(tokens.count) rows, room for \(maxRows)")
        let rows = configuration.vocabularyRows
        precondition(tokens.allSatisfy { $0 < rows }, "a token beyond the \(rows) rows of the embedding")
        guard let table = weights.embedding else { preconditionFailure("stage \(shard.stage) does not embed") }
        let x = hidden.rows(0..<tokens.count)
        backend.embed(tokens, table: table, firstRow: weights.shard.vocabulary.lowerBound, into: x)
        try backend.allReduce(x)
    }

    /// Rows `targets` become rows `sources` of an image's embeddings.
    package func replaceRows(_ targets: [Int], with embeddings: Activation<B.Storage>, _ sources: [Int]) {
        backend.copyRows(sources, of: embeddings, to: targets, of: hidden)
    }

    /// All layers of this stage over the rows at hand. `layerDone` is called after each; it may throw to leave the
    /// step. Throws when a rank is lost.
    package func run(
        positions: RotaryPositions, batch: AttentionBatch, cache: B.KVCache, layerDone: (Int) throws -> Void
    ) throws {
        backend.rotaryTable(configuration.rotary, positions: positions, into: rotary.rows(0..<batch.rowCount))
        try backend.layers(batch, cache: cache, room: maxRows) { batch in
            let count = batch.rowCount
            if let first = weights.layers.first {
                let rows = 0..<count
                backend.rmsNorm(
                    hidden.rows(rows), weight: first.inputNorm, epsilon: configuration.normEpsilon,
                    into: normed.rows(rows))
            }
            for (index, layer) in weights.layers.enumerated() {
                try attend(layer, index: index, batch: batch, cache: cache)
                for start in stride(from: 0, to: count, by: stripRows) {
                    try feedForward(index, rows: start..<min(start + stripRows, count))
                }
                try layerDone(index)
            }
        }
    }

    /// From the rows as `normed` has them to the residual stream, and `normed` for what follows.
    private func attend(_ layer: DecoderLayer<B>, index: Int, batch: AttentionBatch, cache: B.KVCache) throws {
        let rows = 0..<batch.rowCount
        let x = hidden.rows(rows), n = normed.rows(rows), y = branch.rows(rows)
        let qkv = fused.rows(rows), a = attended.rows(rows)
        let heads = weights.shard.heads
        backend.linear(n, layer.queryKeyValue, bias: layer.queryKeyValueBias, into: qkv)
        backend.rotateAndStore(
            qkv, heads: heads, table: rotary.rows(rows), pairing: configuration.rotary.pairing, cache: cache,
            layer: index, batch: batch)
        backend.attention(qkv, heads: heads, cache: cache, layer: index, batch: batch, into: a)
        backend.linear(a, layer.output, bias: nil, into: y)
        try backend.allReduce(y)
        backend.addBranch(
            y, norm: layer.postAttentionNorm, to: x, next: layer.feedForwardNorm, epsilon: configuration.normEpsilon,
            into: n)
    }

    private func feedForward(_ index: Int, rows: Range<Int>) throws {
        let layer = weights.layers[index]
        let x = hidden.rows(rows), n = normed.rows(rows), y = branch.rows(rows)
        let strip = 0..<rows.count
        backend.gatedLinear(n, layer.gateUp, through: gateUp.rows(strip), into: inner.rows(strip))
        backend.linear(inner.rows(strip), layer.down, bias: nil, into: y)
        try backend.allReduce(y)
        let norm = layer.postFeedForwardNorm, epsilon = configuration.normEpsilon
        if index + 1 < weights.layers.count {
            let next = weights.layers[index + 1].inputNorm
            backend.addBranch(y, norm: norm, to: x, next: next, epsilon: epsilon, into: n)
        } else {
            backend.addBranch(y, norm: norm, epsilon: epsilon, to: x)
        }
    }

    /// Has a token chosen for each of `rows` of the last run. Every rank chooses the same, for all have whole logits
    /// (D12). Throws what the run could not do, of no rows as well.
    package func choose(_ rows: [Int], _ requests: [SampleRequest]) throws -> [B.Choice] {
        if let logits, rows.isEmpty { return [try backend.choose(logits.rows(0..<0), [])] }
        return try stride(from: 0, to: rows.count, by: headRows).map { start in
            let strip = start..<min(start + headRows, rows.count)
            return try backend.choose(logits(of: Array(rows[strip])), Array(requests[strip]))
        }
    }

    /// Waits for the tokens, in the order of their rows; nil where the logits are not numbers.
    package func tokens(of choices: [B.Choice]) throws -> [SampledToken?] {
        try choices.flatMap { try backend.tokens(of: $0) }
    }

    /// logits: [rows.count, vocabulary]; at most `headRows` rows at once, overwritten by the next call.
    private func logits(of rows: [Int]) throws -> Activation<B.Storage> {
        guard let output = weights.output, let selected, let selectedNormed, let logits else {
            preconditionFailure("stage \(shard.stage) has no logits")
        }
        let strip = 0..<rows.count
        let x = selected.rows(strip), n = selectedNormed.rows(strip), y = logits.rows(strip)
        backend.copyRows(rows, of: hidden, to: Array(strip), of: x)
        backend.rmsNorm(x, weight: output.norm, epsilon: configuration.normEpsilon, into: n)
        backend.linear(n, output.head, bias: nil, into: y.columns(weights.shard.vocabulary))
        try backend.allGather(vocabularyWidths, of: y)
        return y
    }

    /// Logits of `rows` of the last run as values, [rows.count * vocabulary]: for perplexity and for tests.
    package func readLogits(of rows: [Int]) throws -> [Float] {
        try stride(from: 0, to: rows.count, by: headRows).flatMap { start in
            try backend.read(logits(of: Array(rows[start..<min(start + headRows, rows.count)])))
        }
    }

    /// The residual stream after the last run, [rows, hidden]: what the next stage begins with.
    package func readHidden(rows: Int) throws -> [Float] { try backend.read(hidden.rows(0..<rows)) }

    /// The residual stream that the stage before has read, [rows, hidden]: the first step of `run` behind the first
    /// stage.
    package func writeHidden(_ values: [Float]) {
        precondition(values.count % configuration.hiddenSize == 0, "\(values.count) values of the residual stream")
        backend.write(values, to: hidden.rows(0..<values.count / configuration.hiddenSize))
    }
}
