import MartletCore
import MartletTensor

/// Pixels to image embeddings (MODEL.md 2.1), as resumable work (D4): an encoding advances unit by unit, each a
/// strip of at most `stripRows` patches through one phase of the tower, so that a large screenshot never holds up
/// the tokens of others.
package final class VisionTower<B: Backend> {
    package let configuration: VisionConfiguration
    private let backend: B
    private let weights: VisionWeights<B>
    private let rotary: RotaryConfiguration
    /// Scratch of one strip.
    private let patches, normed, branch, gateUp, inner: Activation<B.Storage>
    private let merged, mergedInner, mergedGateUp: Activation<B.Storage>

    /// What a unit does with its strip.
    package enum Phase: String, CaseIterable, Sendable {
        /// Patches and their positions.
        case embed
        /// Norm, queries, keys, values and their rotation.
        case project
        /// Attention and the MLP.
        case attend
        /// Last norm, downsampling and the merger.
        case merge
    }

    package static var stripRows: Int { VisionConfiguration.stripRows }

    /// Whether each rank has the whole tower, and encodes other pictures (`--mm-encoder-tp-mode data`).
    var isWhole: Bool { weights.shard.isWhole }

    package init(backend: B, configuration: VisionConfiguration, weights: VisionWeights<B>) throws {
        self.backend = backend
        self.configuration = configuration
        self.weights = weights
        rotary = Self.rotary(headDimension: configuration.headDimension)
        let rows = Self.stripRows, tokens = rows / (configuration.mergeSize * configuration.mergeSize)
        patches = try backend.makeActivation(rows: rows, width: configuration.patchWidth, role: .operand)
        normed = try backend.makeActivation(rows: rows, width: configuration.hiddenSize, role: .operand)
        branch = try backend.makeActivation(rows: rows, width: configuration.hiddenSize)
        let shard = weights.shard
        gateUp = try backend.makeActivation(rows: rows, width: 2 * shard.inner.count, role: .operand)
        inner = try backend.makeActivation(rows: rows, width: shard.inner.count, role: .operand)
        merged = try backend.makeActivation(rows: tokens, width: configuration.outputSize)
        mergedGateUp = try backend.makeActivation(rows: tokens, width: 2 * shard.mergerInner.count, role: .operand)
        mergedInner = try backend.makeActivation(rows: tokens, width: shard.mergerInner.count, role: .operand)
    }

    /// Half the head turns by the row, half by the column, each with theta 10000 over half a head (MODEL.md 2.1.5).
    static func rotary(headDimension: Int) -> RotaryConfiguration {
        let count = headDimension / 4
        let frequencies = RotaryConfiguration.inverseFrequencies(theta: 10000, dimensions: headDimension / 2)
        return RotaryConfiguration(
            pairing: .halfSplit, inverseFrequency: frequencies + frequencies,
            axis: [Int](repeating: 1, count: count) + [Int](repeating: 2, count: count))
    }

    /// The phase of unit `unit` of an image with that many patches.
    package func phase(ofUnit unit: Int, patches: Int) -> Phase {
        let step = unit / VisionConfiguration.stripCount(patches: patches)
        if step == 0 { return .embed }
        if step > 2 * configuration.depth { return .merge }
        return step % 2 == 1 ? .project : .attend
    }

    /// Memory for one image on its way through the tower.
    package func begin(_ image: PreparedImage) throws -> VisionEncoding<B> {
        let count = image.patchRows * image.patchColumns
        let width = weights.shard.heads.count * configuration.headDimension
        let encoding = VisionEncoding<B>(
            image: image, patchCount: count,
            hidden: try backend.makeActivation(rows: count, width: configuration.hiddenSize),
            fused: try backend.makeActivation(rows: count, width: 3 * width, role: .operand),
            attended: try backend.makeActivation(rows: min(count, Self.stripRows), width: width, role: .operand),
            rotary: try backend.makeActivation(rows: count, width: rotary.dimensions),
            embeddings: try backend.makeActivation(rows: image.tokenCount, width: configuration.outputSize))
        backend.rotaryTable(rotary, positions: patchPositions(image), into: encoding.rotary)
        return encoding
    }

    /// Row and column of every patch, in the order patches come: 2x2 blocks (MODEL.md 2.3).
    private func patchPositions(_ image: PreparedImage) -> RotaryPositions {
        var positions = RotaryPositions()
        let merge = image.mergeSize
        for blockRow in 0..<image.tokenRows {
            for blockColumn in 0..<image.tokenColumns {
                for inside in 0..<(merge * merge) {
                    let row = Int32(blockRow * merge + inside / merge)
                    let column = Int32(blockColumn * merge + inside % merge)
                    positions.append(t: 0, h: row, w: column)
                }
            }
        }
        return positions
    }

    /// Advances `encoding` by one unit. Throws when a rank is lost.
    package func run(unit: Int, of encoding: VisionEncoding<B>) throws {
        let strips = VisionConfiguration.stripCount(patches: encoding.patchCount)
        let (step, strip) = unit.quotientAndRemainder(dividingBy: strips)
        let start = strip * Self.stripRows
        let rows = start..<min(start + Self.stripRows, encoding.patchCount)
        switch phase(ofUnit: unit, patches: encoding.patchCount) {
        case .embed: embed(rows, of: encoding)
        case .project: project(rows, weights.blocks[(step - 1) / 2], of: encoding)
        case .attend: try attend(rows, weights.blocks[(step - 1) / 2], of: encoding)
        case .merge: try merge(rows, of: encoding)
        }
    }

    private func embed(_ rows: Range<Int>, of encoding: VisionEncoding<B>) {
        let x = encoding.hidden.rows(rows), p = patches.rows(0..<rows.count), image = encoding.image
        backend.extractPatches(image, temporalPatch: configuration.temporalPatchSize, range: rows, into: p)
        backend.linear(p, weights.patchEmbedding, bias: weights.patchEmbeddingBias, into: x)
        backend.rmsNorm(x, weight: weights.embeddingNorm, epsilon: configuration.normEpsilon, into: x)
        guard rows.upperBound == encoding.patchCount else { return }
        backend.addPositions(
            weights.positions, side: configuration.positionSide, rows: image.patchRows, columns: image.patchColumns,
            mergeSize: image.mergeSize, to: encoding.hidden)
    }

    /// Queries, keys and values of a strip; all strips must be done before any attends.
    private func project(_ rows: Range<Int>, _ block: VisionBlock<B>, of encoding: VisionEncoding<B>) {
        let y = normed.rows(0..<rows.count), qkv = encoding.fused.rows(rows)
        backend.rmsNorm(
            encoding.hidden.rows(rows), weight: block.attentionNorm, epsilon: configuration.normEpsilon, into: y)
        backend.linear(y, block.queryKeyValue, bias: block.queryKeyValueBias, into: qkv)
        // Query and key heads lie side by side: one call turns both.
        backend.rotate(
            qkv, headCount: 2 * weights.shard.heads.count, dimension: configuration.headDimension,
            table: encoding.rotary.rows(rows), pairing: rotary.pairing)
    }

    private func attend(_ rows: Range<Int>, _ block: VisionBlock<B>, of encoding: VisionEncoding<B>) throws {
        let strip = 0..<rows.count
        let x = encoding.hidden.rows(rows), n = normed.rows(strip), y = branch.rows(strip)
        let a = encoding.attended.rows(strip)
        let headCount = weights.shard.heads.count
        let heads = AttentionHeads(
            queryCount: headCount, keyValueCount: headCount, dimension: configuration.headDimension)
        backend.fullAttention(encoding.fused, heads: heads, queries: rows, into: a)
        backend.linear(a, block.projection, bias: nil, into: y)
        try sum(y)
        backend.add(y, to: x)
        backend.rmsNorm(x, weight: block.feedForwardNorm, epsilon: configuration.normEpsilon, into: n)
        backend.linear(n, block.gateUp, bias: nil, into: gateUp.rows(strip))
        backend.siluMultiply(gateUp.rows(strip), into: inner.rows(strip))
        backend.linear(inner.rows(strip), block.down, bias: nil, into: y)
        try sum(y)
        backend.add(y, to: x)
    }

    /// Last norm, 2x2 patches to one token, projection, GELU, gated MLP (MODEL.md 2.1.6-8).
    private func merge(_ rows: Range<Int>, of encoding: VisionEncoding<B>) throws {
        let block = configuration.mergeSize * configuration.mergeSize
        let y = normed.rows(0..<rows.count)
        let tokens = (rows.lowerBound / block)..<(rows.upperBound / block), strip = 0..<tokens.count
        let out = encoding.embeddings.rows(tokens), m = merged.rows(strip)
        backend.rmsNorm(
            encoding.hidden.rows(rows), weight: weights.finalNorm, epsilon: configuration.normEpsilon, into: y)
        backend.linear(
            y.reshaped(width: block * configuration.hiddenSize), weights.downsample, bias: weights.downsampleBias,
            into: out)
        backend.linear(out, weights.mergerProjection, bias: nil, into: m)
        backend.layerNorm(m, weight: weights.mergerNorm, bias: weights.mergerNormBias, epsilon: 1e-5, into: m)
        backend.gelu(m)
        backend.linear(m, weights.mergerGateUp, bias: nil, into: mergedGateUp.rows(strip))
        backend.siluMultiply(mergedGateUp.rows(strip), into: mergedInner.rows(strip))
        backend.linear(mergedInner.rows(strip), weights.mergerDown, bias: nil, into: out)
        try sum(out)
    }

    /// A product over this rank's heads or inner columns becomes that over all.
    private func sum(_ y: Activation<B.Storage>) throws {
        if !weights.shard.isWhole { try backend.allReduce(y) }
    }
}

extension VisionConfiguration {
    /// Patches of a strip. A multiple of the merge block of any model of the family.
    package static var stripRows: Int { 1024 }

    fileprivate static func stripCount(patches: Int) -> Int { (patches + stripRows - 1) / stripRows }

    /// Units of a picture: a strip each for embedding and merging, two for every block. Known without a tower, too.
    package func unitCount(patches: Int) -> Int { Self.stripCount(patches: patches) * (2 + 2 * depth) }

    package func unitCount(of image: PreparedImage) -> Int { unitCount(patches: image.patchRows * image.patchColumns) }
}

/// One image on its way through the tower.
package final class VisionEncoding<B: Backend> {
    package let image: PreparedImage
    let patchCount: Int
    /// Residual stream [patches, hidden]; fused q, k, v [patches, 3 * hidden]; one strip's attention.
    let hidden, fused, attended, rotary: Activation<B.Storage>
    /// [tokens, output]: the result, once every unit has run.
    package let embeddings: Activation<B.Storage>

    init(
        image: PreparedImage, patchCount: Int, hidden: Activation<B.Storage>, fused: Activation<B.Storage>,
        attended: Activation<B.Storage>, rotary: Activation<B.Storage>, embeddings: Activation<B.Storage>
    ) {
        self.image = image
        self.patchCount = patchCount
        self.hidden = hidden
        self.fused = fused
        self.attended = attended
        self.rotary = rotary
        self.embeddings = embeddings
    }
}
