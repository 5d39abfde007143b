import MartletCPU
import MartletCore
import MartletTensor

/// A backend that does what another does and writes down what came out, in order: for golden values of every
/// intermediate, and for counting products.
final class RecordingBackend<Inner: Backend>: Backend {
    typealias Storage = Inner.Storage
    typealias Matrix = Inner.Matrix
    typealias Vector = Inner.Vector
    typealias KVCache = Inner.KVCache
    typealias Choice = Inner.Choice

    struct Event {
        let operation: String
        let rows, width: Int
        let values: [Float]
    }

    let inner: Inner
    private(set) var events: [Event] = []
    var recordsValues = false
    private let counter: WorkCounter
    /// Which of its choices are to go astray, by their number.
    var changesTokens: (Int) -> Bool = { _ in false }
    private var sampleCount = 0

    init(_ inner: Inner, counter: WorkCounter = WorkCounter()) {
        self.inner = inner
        self.counter = counter
    }

    func reset() { events = [] }

    private func record(_ operation: String, _ y: Activation<Storage>) {
        guard recordsValues else { return }
        let values = (try? inner.read(y)) ?? []
        events.append(Event(operation: operation, rows: y.rows, width: y.width, values: values))
    }

    func makeActivation(rows: Int, width: Int, role: ActivationRole) throws -> Activation<Storage> {
        let made = try inner.makeActivation(rows: rows, width: width, role: role)
        counter.countActivation(((made.storage as? CPUBackend.Storage)?.count ?? 0) * 4)
        return made
    }
    func loadMatrix(_ slices: [MatrixSlice], from source: any WeightSource, dtype: DType?) throws -> Matrix {
        counted(try inner.loadMatrix(slices, from: source, dtype: dtype))
    }
    func loadVector(_ slices: [MatrixSlice], from source: any WeightSource) throws -> Vector {
        let vector = try inner.loadVector(slices, from: source)
        counter.countWeights(((vector as? CPUBackend.Vector)?.count ?? 0) * 4)
        return vector
    }
    func makeMatrix(_ values: [Float], rows: Int, columns: Int) throws -> Matrix {
        counted(try inner.makeMatrix(values, rows: rows, columns: columns))
    }
    private func counted(_ matrix: Matrix) -> Matrix {
        counter.countWeights((matrix as? CPUBackend.Matrix)?.byteCount ?? 0)
        return matrix
    }
    func makeKVCache(layers: Int, heads: AttentionHeads, blockCount: Int, blockSize: Int, dtype: DType) throws
        -> KVCache
    {
        let cache = try inner.makeKVCache(
            layers: layers, heads: heads, blockCount: blockCount, blockSize: blockSize, dtype: dtype)
        counter.countCache((cache as? CPUBackend.KVCache)?.byteCount ?? 0)
        return cache
    }
    func write(_ values: [Float], to x: Activation<Storage>) { inner.write(values, to: x) }
    func read(_ x: Activation<Storage>) throws -> [Float] { try inner.read(x) }
    func embed(_ tokens: [TokenID], table: Matrix, firstRow: Int, into y: Activation<Storage>) {
        counter.countRows(tokens.count)
        inner.embed(tokens, table: table, firstRow: firstRow, into: y)
    }
    func copyRows(_ sources: [Int], of x: Activation<Storage>, to targets: [Int], of y: Activation<Storage>) {
        inner.copyRows(sources, of: x, to: targets, of: y)
    }
    func add(_ y: Activation<Storage>, to x: Activation<Storage>) {
        inner.add(y, to: x)
        record("add", x)
    }
    func rmsNorm(_ x: Activation<Storage>, weight: Vector, epsilon: Float, into y: Activation<Storage>) {
        inner.rmsNorm(x, weight: weight, epsilon: epsilon, into: y)
        record("rmsNorm", y)
    }
    func addRMSNorm(_ y: Activation<Storage>, weight: Vector, epsilon: Float, to x: Activation<Storage>) {
        if recordsValues, let normed = try? inner.makeActivation(rows: y.rows, width: y.width) {
            inner.rmsNorm(y, weight: weight, epsilon: epsilon, into: normed)
            record("branchNorm", normed)
        }
        inner.addRMSNorm(y, weight: weight, epsilon: epsilon, to: x)
        record("addRMSNorm", x)
    }
    func layerNorm(_ x: Activation<Storage>, weight: Vector, bias: Vector, epsilon: Float, into y: Activation<Storage>)
    {
        inner.layerNorm(x, weight: weight, bias: bias, epsilon: epsilon, into: y)
    }
    func siluMultiply(_ x: Activation<Storage>, into y: Activation<Storage>) { inner.siluMultiply(x, into: y) }
    func gelu(_ x: Activation<Storage>) { inner.gelu(x) }
    func linear(_ x: Activation<Storage>, _ weight: Matrix, bias: Vector?, into y: Activation<Storage>) {
        counter.countProduct()
        inner.linear(x, weight, bias: bias, into: y)
        record("linear", y)
    }
    func rotaryTable(_ rotary: RotaryConfiguration, positions: RotaryPositions, into table: Activation<Storage>) {
        inner.rotaryTable(rotary, positions: positions, into: table)
    }
    func rotate(
        _ x: Activation<Storage>, headCount: Int, dimension: Int, table: Activation<Storage>, pairing: RotaryPairing
    ) {
        inner.rotate(x, headCount: headCount, dimension: dimension, table: table, pairing: pairing)
    }
    func rotateAndStore(
        _ fused: Activation<Storage>, heads: AttentionHeads, table: Activation<Storage>, pairing: RotaryPairing,
        cache: KVCache, layer: Int, batch: AttentionBatch
    ) {
        inner.rotateAndStore(
            fused, heads: heads, table: table, pairing: pairing, cache: cache, layer: layer, batch: batch)
    }
    func attention(
        _ fused: Activation<Storage>, heads: AttentionHeads, cache: KVCache, layer: Int, batch: AttentionBatch,
        into y: Activation<Storage>
    ) {
        inner.attention(fused, heads: heads, cache: cache, layer: layer, batch: batch, into: y)
    }
    func fullAttention(
        _ fused: Activation<Storage>, heads: AttentionHeads, queries: Range<Int>, into y: Activation<Storage>
    ) {
        inner.fullAttention(fused, heads: heads, queries: queries, into: y)
    }
    func extractPatches(_ image: PreparedImage, temporalPatch: Int, range: Range<Int>, into y: Activation<Storage>) {
        inner.extractPatches(image, temporalPatch: temporalPatch, range: range, into: y)
        record("patches", y)
    }
    func addPositions(_ table: Vector, side: Int, rows: Int, columns: Int, mergeSize: Int, to x: Activation<Storage>) {
        inner.addPositions(table, side: side, rows: rows, columns: columns, mergeSize: mergeSize, to: x)
        record("positions", x)
    }
    var rank: Int { inner.rank }
    var rankCount: Int { inner.rankCount }
    func allReduce(_ x: Activation<Storage>) throws { try inner.allReduce(x) }
    func allGather(_ widths: [Int], of x: Activation<Storage>) throws { try inner.allGather(widths, of: x) }
    func broadcast(_ x: Activation<Storage>, from root: Int) throws { try inner.broadcast(x, from: root) }
    func agrees(on value: UInt64) throws -> Bool { try inner.agrees(on: value) }
    func choose(_ logits: Activation<Storage>, _ requests: [SampleRequest]) throws -> Choice {
        counter.countChoice()
        return try inner.choose(logits, requests)
    }
    func tokens(of choice: Choice) throws -> [SampledToken?] {
        counter.countReading()
        let tokens = try inner.tokens(of: choice)
        if !tokens.isEmpty { sampleCount += 1 }
        guard changesTokens(sampleCount) else { return tokens }
        return tokens.map { choice in
            choice.map {
                SampledToken(token: ($0.token + 1) % 256, logprob: $0.logprob, top: $0.top)
            }
        }
    }
}
