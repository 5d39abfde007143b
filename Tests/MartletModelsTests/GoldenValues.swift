import MartletCore
import MartletEngine
import MartletTensor
import Testing

@testable import MartletModels

/// The golden numbers of MODEL.md 7.2, and what computes them again.
struct GoldenValues {
    /// How many times the distance of f32 a value may have.
    var slack: Float = 1
    var cacheType = DType.f32

    /// A row of the table: sums over all elements, and some elements by value.
    struct Golden: Sendable {
        let name: String
        let count: Int
        let sum, absoluteSum: Double
        let first: [Float]
        let last: [Float]
    }

    static let vision: [Golden] = [
        Golden(
            name: "pixel_values", count: 112 * 1176, sum: 25049.313, absoluteSum: 120808.095,
            first: [-1.77766, -1.69007, -1.60248, -1.51489], last: [-1.38068, -1.28114]),
        Golden(
            name: "patch_embed", count: 112 * 32, sum: 63.09995, absoluteSum: 2611.14875,
            first: [0.3454, -0.19595, 0.88554, -0.31595], last: [-0.42089, -0.47254]),
        Golden(
            name: "post_conv_layernorm", count: 112 * 32, sum: 36.79827, absoluteSum: 2783.47116,
            first: [0.48133, -0.27894, 0.88222, -0.30935], last: [-0.44237, -0.54875]),
        Golden(
            name: "with positions", count: 112 * 32, sum: 137.33101, absoluteSum: 3180.02809,
            first: [0.06365, 0.72221, -0.07537, -1.47588], last: [-0.59094, -0.0053]),
        Golden(
            name: "block 0", count: 112 * 32, sum: 242.99049, absoluteSum: 3385.11737,
            first: [0.76929, 1.0064, -0.69966, -0.65768], last: [-0.1324, -0.00507]),
        Golden(
            name: "block 1", count: 112 * 32, sum: 364.53014, absoluteSum: 3688.20502,
            first: [0.8582, 1.12535, -0.83293, -0.87011], last: [0.06191, 0.29959]),
        Golden(
            name: "post_layernorm", count: 112 * 32, sum: 328.12731, absoluteSum: 2912.99891,
            first: [0.58491, 0.97664, -0.61214, -0.65435], last: [0.06313, 0.318]),
        Golden(
            name: "downsample", count: 28 * 128, sum: 56.77604, absoluteSum: 2555.59179,
            first: [0.01132, 0.48002, 1.23188, 1.41431], last: [-0.83456, 0.54053]),
        Golden(
            name: "merger", count: 28 * 128, sum: -0.72309, absoluteSum: 440.41875,
            first: [-0.18868, -0.1838, -0.10125, 0.09134], last: [-0.11762, 0.30013]),
    ]

    static let text: [Golden] = [
        Golden(
            name: "layer 0 input norm", count: 47 * 128, sum: -0.65691, absoluteSum: 4869.39493,
            first: [1.97503, -1.13629, -1.08995, -1.64859], last: [1.87135, -0.68577]),
        Golden(
            name: "layer 0 q_proj", count: 47 * 128, sum: -55.39081, absoluteSum: 4206.6217,
            first: [-0.1524, 0.19927, 0.48681, 0.12672], last: [0.52159, 0.01133]),
        Golden(
            name: "layer 0 o_proj", count: 47 * 128, sum: -166.70575, absoluteSum: 1531.21163,
            first: [0.85546, -0.51555, 0.34156, -0.44915], last: [-0.27094, 0.1934]),
        Golden(
            name: "layer 0 post_self_attn norm", count: 47 * 128, sum: -534.18844, absoluteSum: 4898.71584,
            first: [1.1472, -0.84462, 0.53435, -0.7396], last: [-0.94935, 0.83422]),
        Golden(
            name: "layer 0 mlp", count: 47 * 128, sum: 26.14502, absoluteSum: 1621.38627,
            first: [-0.08329, 0.67607, -0.09629, -0.48135], last: [-0.16288, -0.1381]),
        Golden(
            name: "layer 0 post_mlp norm", count: 47 * 128, sum: 56.19622, absoluteSum: 4737.53177,
            first: [-0.23837, 1.43059, -0.24177, -0.97026], last: [-0.40475, -0.41987]),
        Golden(
            name: "layer 0", count: 47 * 128, sum: -474.79798, absoluteSum: 7036.68167,
            first: [1.82067, -0.10269, -0.26479, -2.49092], last: [-0.50774, -0.04414]),
        Golden(
            name: "layer 1", count: 47 * 128, sum: 267.1099, absoluteSum: 9943.96823,
            first: [0.90544, -1.3449, -0.58059, 2.25155], last: [-1.49362, 0.12498]),
        Golden(
            name: "final norm", count: 47 * 128, sum: 215.49617, absoluteSum: 4786.61886,
            first: [0.40291, -0.63728, -0.29138, 1.31531], last: [-0.67315, 0.04383]),
        Golden(
            name: "logits", count: 47 * 320, sum: -208.18405, absoluteSum: 10021.89711,
            first: [-0.55364, -0.07225, -1.00895, 1.05266], last: [-0.28853, -0.04733]),
    ]

    private func check(_ values: [Float], _ golden: Golden) {
        #expect(values.count == golden.count, "\(golden.name)")
        let sum = values.reduce(0.0) { $0 + Double($1) }, absolute = values.reduce(0.0) { $0 + abs(Double($1)) }
        let bound = Double(1e-5 * slack) * golden.absoluteSum
        #expect(abs(sum - golden.sum) < bound, "\(golden.name): sum \(sum)")
        #expect(abs(absolute - golden.absoluteSum) < bound, "\(golden.name): abssum \(absolute)")
        for (value, expected) in zip(values, golden.first) {
            #expect(abs(value - expected) < 2e-5 * slack, "\(golden.name): first \(values.prefix(4))")
        }
        for (value, expected) in zip(values.suffix(2), golden.last) {
            #expect(abs(value - expected) < 2e-5 * slack, "\(golden.name): last \(values.suffix(2))")
        }
    }

    /// Both pictures and the prompt around them, on `inner`.
    func checkIntermediates<B: Backend>(on inner: B) throws {
        let model = try TinyModel()
        let backend = RecordingBackend(inner)
        let tower = try #require(try model.tower(backend))
        backend.recordsValues = true
        let embeddings = try encode(TinyModel.images(), tower: tower, backend: backend)
        backend.reset()

        let decoder = try model.decoder(backend)
        try decoder.embed(TinyModel.promptTokens)
        decoder.replaceRows(Array(10..<30), with: embeddings[0], Array(0..<20))
        decoder.replaceRows(Array(33..<41), with: embeddings[1], Array(0..<8))
        let images = [
            ImageSpan(id: 0, offset: 10, rows: 5, columns: 4), ImageSpan(id: 1, offset: 33, rows: 2, columns: 4),
        ]
        var positions = RotaryPositions()
        SequencePositions(images: images).append(0..<47, to: &positions)
        let cache = try backend.makeKVCache(
            layers: 2, heads: model.configuration.decoder.heads, blockCount: 4, blockSize: 16, dtype: cacheType)
        let batch = AttentionBatch(segments: [.init(rows: 0..<47, start: 0, blocks: [2, 0, 3])])
        try decoder.run(positions: positions, batch: batch, cache: cache) { _ in }
        let events = backend.events
        backend.reset()
        let logits = try decoder.readLogits(of: Array(0..<47))

        let linear = events.filter { $0.operation == "linear" }
        check(events.first { $0.operation == "rmsNorm" }?.values ?? [], Self.text[0])
        check(columns(linear[0], 0..<128), Self.text[1])
        check(linear[1].values, Self.text[2])
        let branchNorms = events.filter { $0.operation == "branchNorm" }
        let sums = events.filter { $0.operation == "addRMSNorm" }
        check(branchNorms[0].values, Self.text[3])
        check(linear[3].values, Self.text[4])
        check(branchNorms[1].values, Self.text[5])
        check(sums[1].values, Self.text[6])
        check(sums[3].values, Self.text[7])
        check(backend.events.filter { $0.operation == "rmsNorm" }.flatMap(\.values), Self.text[8])
        check(logits, Self.text[9])
        let last = Array(logits.suffix(320))
        let top = last.indices.sorted { last[$0] > last[$1] }.prefix(5)
        #expect(Array(top) == [130, 262, 8, 238, 37])
        for (token, value) in zip(top, [2.65842, 2.52094, 1.99303, 1.85945, 1.59552] as [Float]) {
            #expect(abs(last[token] - value) < 2e-5 * slack)
        }
    }

    /// Runs both images through the tower and checks the table's vision rows over both.
    private func encode<B: Backend>(
        _ images: [PreparedImage], tower: VisionTower<RecordingBackend<B>>, backend: RecordingBackend<B>
    ) throws -> [Activation<B.Storage>] {
        var values = [[Float]](repeating: [], count: Self.vision.count), outputs: [Activation<B.Storage>] = []
        for image in images {
            backend.reset()
            let encoding = try tower.begin(image)
            for unit in 0..<tower.configuration.unitCount(of: image) {
                try tower.run(unit: unit, of: encoding)
            }
            outputs.append(encoding.embeddings)
            let events = backend.events
            let linear = events.filter { $0.operation == "linear" }, norms = events.filter { $0.operation == "rmsNorm" }
            let sums = events.filter { $0.operation == "add" }
            values[0] += events.first { $0.operation == "patches" }?.values ?? []
            values[1] += linear[0].values
            values[2] += norms[0].values
            values[3] += events.first { $0.operation == "positions" }?.values ?? []
            values[4] += sums[1].values
            values[5] += sums[3].values
            values[6] += norms[norms.count - 1].values
            values[7] += linear[linear.count - 4].values
            values[8] += try backend.read(encoding.embeddings)
        }
        for (values, golden) in zip(values, Self.vision) { check(values, golden) }
        return outputs
    }

    private func columns<B>(_ event: RecordingBackend<B>.Event, _ range: Range<Int>) -> [Float] {
        (0..<event.rows).flatMap { row in range.map { event.values[row * event.width + $0] } }
    }

    func checkTextOnly<B: Backend>(on backend: B) throws {
        let model = try TinyModel()
        let decoder = try model.decoder(backend)
        try decoder.embed(TinyModel.textTokens)
        var positions = RotaryPositions()
        SequencePositions(images: []).append(0..<8, to: &positions)
        let cache = try backend.makeKVCache(
            layers: 2, heads: model.configuration.decoder.heads, blockCount: 1, blockSize: 16, dtype: cacheType)
        try decoder.run(
            positions: positions, batch: AttentionBatch(segments: [.init(rows: 0..<8, start: 0, blocks: [0])]),
            cache: cache) { _ in }
        let logits = try decoder.readLogits(of: Array(0..<8))
        #expect(abs(logits.reduce(0.0) { $0 + Double($1) } - 0.91484) < 0.02 * Double(slack))
        #expect(abs(logits.reduce(0.0) { $0 + abs(Double($1)) } - 1845.01586) < 0.02 * Double(slack))
        let last = Array(logits.suffix(320))
        #expect(Array(last.indices.sorted { last[$0] > last[$1] }.prefix(5)) == [132, 262, 301, 208, 150])
    }
}
