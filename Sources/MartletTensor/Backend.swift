import MartletCore

/// The operations of the model on one device: each a whole operation, fused where hardware wants it. Not a tensor
/// library: what no model calls is not here.
///
/// Activations are [rows, width]. On the CPU they are f32 and every output row is a pure function of its own
/// inputs and history (D5): never of the other rows, of the number of rows, or of threads. An operation may
/// return before it is done; `read` waits. Shapes that disagree are bugs and trap. Outputs never alias inputs
/// unless the operation says "in place".
package protocol Backend: AnyObject {
    /// Memory of activations.
    associatedtype Storage: AnyObject
    /// A weight matrix [outputs, inputs], packed for the device in its storage precision.
    associatedtype Matrix: AnyObject
    /// A small f32 weight: norm, bias.
    associatedtype Vector: AnyObject
    /// Keys and values of every layer, in blocks.
    associatedtype KVCache: AnyObject
    /// Tokens that are being chosen.
    associatedtype Choice

    // MARK: Memory

    /// Uninitialised activations. Throws when the memory is not to be had.
    func makeActivation(rows: Int, width: Int, role: ActivationRole) throws -> Activation<Storage>
    /// Packs `slices` of a checkpoint, stacked by rows, into one matrix; all have the same number of columns.
    /// `dtype`, or a slice's own, converts plain types (f32, f16, bf16) to that one, which may be plain, Q8_0 or Q4_0;
    /// nil and quantised types stay as stored.
    func loadMatrix(_ slices: [MatrixSlice], from source: any WeightSource, dtype: DType?) throws -> Matrix
    /// A tensor (or rows of it) as f32.
    func loadVector(_ slices: [MatrixSlice], from source: any WeightSource) throws -> Vector
    /// A matrix from values at hand [rows, columns]; for tests and folded weights.
    func makeMatrix(_ values: [Float], rows: Int, columns: Int) throws -> Matrix
    /// A cache of `layers` layers of `blockCount` blocks of `blockSize` positions; contents undefined.
    func makeKVCache(layers: Int, heads: AttentionHeads, blockCount: Int, blockSize: Int, dtype: DType) throws
        -> KVCache
    /// Copies values [rows, width] in.
    func write(_ values: [Float], to x: Activation<Storage>)
    /// Waits for everything before it, then copies [rows, width] out. Throws when the device is lost.
    func read(_ x: Activation<Storage>) throws -> [Float]

    /// Runs `body`, the layers of a decoder over the rows of a batch with `cache`, once and in order; or what an
    /// earlier call with this cache has left on the device, where that does the same. `body` takes the batch that it is
    /// to compute: `batch`, or `batch` with rows behind it that count for nothing, at most `room` in all.
    func layers(
        _ batch: AttentionBatch, cache: KVCache, room: Int, _ body: (AttentionBatch) throws -> Void
    ) throws

    // MARK: Rows

    /// y[i] = row `tokens[i] - firstRow` of table, zeros where the table has no such row: another rank's has it. A
    /// token below 0 is one that was kept (`KeptToken`); zeros, too, where that could not be chosen.
    func embed(_ tokens: [TokenID], table: Matrix, firstRow: Int, into y: Activation<Storage>)
    /// y[targets[i]] = x[sources[i]].
    func copyRows(_ sources: [Int], of x: Activation<Storage>, to targets: [Int], of y: Activation<Storage>)
    /// x += y, in place.
    func add(_ y: Activation<Storage>, to x: Activation<Storage>)

    // MARK: Norms and activations

    /// y = x / sqrt(mean(x^2) + epsilon) * weight. y may be x.
    func rmsNorm(_ x: Activation<Storage>, weight: Vector, epsilon: Float, into y: Activation<Storage>)
    /// x += rmsNorm(y), in place: GLM's sandwich norm.
    func addRMSNorm(_ y: Activation<Storage>, weight: Vector, epsilon: Float, to x: Activation<Storage>)
    /// x += rmsNorm(y, norm), or x += y where `norm` is nil, in place; then z = rmsNorm(x, next): what stands between
    /// two blocks of a layer. The bits are those of the operations apart.
    func addBranch(
        _ y: Activation<Storage>, norm: Vector?, to x: Activation<Storage>, next: Vector, epsilon: Float,
        into z: Activation<Storage>)
    /// y = (x - mean) / sqrt(variance + epsilon) * weight + bias. y may be x.
    func layerNorm(_ x: Activation<Storage>, weight: Vector, bias: Vector, epsilon: Float, into y: Activation<Storage>)
    /// y[:, i] = silu(x[:, i]) * x[:, n + i]; x: [rows, 2n] gate then up, y: [rows, n].
    func siluMultiply(_ x: Activation<Storage>, into y: Activation<Storage>)
    /// Exact (erf) GELU, in place.
    func gelu(_ x: Activation<Storage>)

    // MARK: Products

    /// y = x W^T + bias; x: [rows, inputs], y: [rows, outputs].
    func linear(_ x: Activation<Storage>, _ weight: Matrix, bias: Vector?, into y: Activation<Storage>)

    /// y = silu(gate) * up with [gate | up] = x W^T; weight: [2n, inputs] gate then up, y: [rows, n]. `gateUp`: [rows,
    /// 2n], to hold them; its contents are undefined afterwards.
    func gatedLinear(
        _ x: Activation<Storage>, _ weight: Matrix, through gateUp: Activation<Storage>, into y: Activation<Storage>)

    // MARK: Attention

    /// table[row] = [cos of every frequency | sin of every frequency]; table: [positions.count, dimensions].
    func rotaryTable(_ rotary: RotaryConfiguration, positions: RotaryPositions, into table: Activation<Storage>)
    /// Rotates `headCount` heads of `dimension` at the start of each row of x, in place; table as above.
    func rotate(
        _ x: Activation<Storage>, headCount: Int, dimension: Int, table: Activation<Storage>, pairing: RotaryPairing)
    /// Rotates the query and key heads of fused rows in place and stores keys and values at the rows' places in
    /// `layer` of the cache.
    func rotateAndStore(
        _ fused: Activation<Storage>, heads: AttentionHeads, table: Activation<Storage>, pairing: RotaryPairing,
        cache: KVCache, layer: Int, batch: AttentionBatch)
    /// Causal attention of the fused rows' queries over the paged cache, scale 1/sqrt(dimension); the rows' own
    /// keys are stored already. y: [rows, queryWidth]. Streaming softmax in fixed tiles from position 0 (D5).
    /// Never reads a slot past a row's own position.
    func attention(
        _ fused: Activation<Storage>, heads: AttentionHeads, cache: KVCache, layer: Int, batch: AttentionBatch,
        into y: Activation<Storage>)
    /// Full attention inside one image: rows `queries` of fused [patches, 3 * heads * dimension], already rotated,
    /// over all rows. y: [queries.count, heads * dimension].
    func fullAttention(
        _ fused: Activation<Storage>, heads: AttentionHeads, queries: Range<Int>, into y: Activation<Storage>)

    // MARK: Vision

    /// Normalised patch vectors of `image`, in 2x2 block order (MODEL.md 2.3), both temporal frames the same.
    /// y: [range.count, 3 * temporalPatch * patch * patch] for patches `range`.
    func extractPatches(_ image: PreparedImage, temporalPatch: Int, range: Range<Int>, into y: Activation<Storage>)
    /// x += the learned table, sampled bicubically (a = -0.75, clamped; MODEL.md 2.1.3) at each patch of a
    /// rows x columns grid in 2x2 block order. table: [side * side, width].
    func addPositions(_ table: Vector, side: Int, rows: Int, columns: Int, mergeSize: Int, to x: Activation<Storage>)

    // MARK: Ranks

    /// The ranks that compute the same layers, each a share of them: this one's place, and how many. Every rank calls
    /// the same operations in the same order.
    var rank: Int { get }
    var rankCount: Int { get }
    /// x = the sum of every rank's x, element by element in order of rank (D6), in place. Throws when a rank is lost.
    func allReduce(_ x: Activation<Storage>) throws
    /// Every rank has its own columns of x; afterwards each has all of them. `widths` of each rank's, in order.
    func allGather(_ widths: [Int], of x: Activation<Storage>) throws
    /// x = rank `root`'s x.
    func broadcast(_ x: Activation<Storage>, from root: Int) throws
    /// Whether this rank's value is rank 0's.
    func agrees(on value: UInt64) throws -> Bool

    // MARK: Choice

    /// Has a token chosen for each row of logits; one request a row (D12). It is kept where its request says, for
    /// operations behind this one. No rows are legal, so that a step without any is waited for like others. Throws what
    /// operations before it could not do.
    func choose(_ logits: Activation<Storage>, _ requests: [SampleRequest]) throws -> Choice
    /// Waits for a choice and everything before it, and tells what was chosen, once; nil for a row that holds NaN.
    /// Throws when the device is lost.
    func tokens(of choice: Choice) throws -> [SampledToken?]
}

extension Backend {
    /// Chooses a token for each row of logits, at once.
    package func sample(_ logits: Activation<Storage>, _ requests: [SampleRequest]) throws -> [SampledToken?] {
        try tokens(of: choose(logits, requests))
    }
}

extension Backend {
    /// Exact ones.
    package func makeActivation(rows: Int, width: Int) throws -> Activation<Storage> {
        try makeActivation(rows: rows, width: width, role: .exact)
    }

    package func layers(
        _ batch: AttentionBatch, cache: KVCache, room: Int, _ body: (AttentionBatch) throws -> Void
    ) throws {
        try body(batch)
    }
}

extension Backend {
    /// For hardware on which one start more costs nothing.
    package func addBranch(
        _ y: Activation<Storage>, norm: Vector?, to x: Activation<Storage>, next: Vector, epsilon: Float,
        into z: Activation<Storage>
    ) {
        addBranch(y, norm: norm, epsilon: epsilon, to: x)
        rmsNorm(x, weight: next, epsilon: epsilon, into: z)
    }

    /// For hardware on which one start more costs nothing.
    package func gatedLinear(
        _ x: Activation<Storage>, _ weight: Matrix, through gateUp: Activation<Storage>, into y: Activation<Storage>
    ) {
        linear(x, weight, bias: nil, into: gateUp)
        siluMultiply(gateUp, into: y)
    }

    /// x += rmsNorm(y, norm), or x += y where `norm` is nil, in place.
    package func addBranch(
        _ y: Activation<Storage>, norm: Vector?, epsilon: Float, to x: Activation<Storage>
    ) {
        if let norm {
            addRMSNorm(y, weight: norm, epsilon: epsilon, to: x)
        } else {
            add(y, to: x)
        }
    }
}
