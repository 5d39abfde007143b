import Foundation
import MartletCPU
import MartletCore
import MartletEngine
import MartletParallel
import MartletTensor
import Testing

@testable import MartletModels

/// What a plan says that a rank holds, beside what the rank's backend is asked for when it loads. (Beside a process's
/// resident memory: Tests/EndToEnd/test_memory.py.)
@Suite struct PlannedMemoryTests {
    private static let rows = 256, blockCount = 40, blockSize = 16

    /// Loads rank 0 of `size` and begins with a screenshot, as its runner does; nothing is computed.
    private func expectPlanned(_ model: TinyModel, tensor: Int, mode: TowerMode, cacheType: DType) throws {
        let configuration = model.configuration
        let tensors = configuration.tensors(of: model.source)
        let layout = try ParallelLayout(
            configuration, tensors: tensors, size: ParallelSize(tensor: tensor, towerMode: mode),
            storage: WeightStorage(quantization: model.quantization))
        let what = "TP \(tensor) \(mode) \(model.quantization)"
        for (rank, shard) in layout.shards.enumerated() {
            func footprint(rows: Int) -> RankFootprint {
                RankFootprint(
                    shard, of: configuration, tensors: tensors,
                    storage: WeightStorage(quantization: model.quantization), cacheType: cacheType, rows: rows)
            }
            let planned = footprint(rows: Self.rows)
            let counter = WorkCounter()
            let group = LocalGroup(size: tensor)
            let backend = RecordingBackend(
                try CPUBackend(threads: 1, communicator: group.communicator(ofRank: rank)), counter: counter)
            var part = model
            part.shard = shard
            let decoder = try part.decoder(backend, maxRows: Self.rows)
            let decoderBytes = counter.activationBytes
            if let tower = try part.tower(backend) { _ = try tower.begin(Self.screenshot(configuration)) }
            _ = try backend.makeKVCache(
                layers: decoder.shard.layers.count, heads: decoder.shard.heads, blockCount: Self.blockCount,
                blockSize: Self.blockSize, dtype: cacheType)
            func share(_ found: Int, _ expected: Int) -> Double { Double(found) / Double(max(1, expected)) }
            // Rows are padded to 16 and ends to 64 bytes.
            #expect((1...1.02).contains(share(counter.weightBytes, planned.weightBytes)), "\(what): weights")
            let cache = Self.blockCount * Self.blockSize * planned.cacheBytesPerToken
            #expect(counter.cacheBytes == cache, "\(what): cache")
            let workspace = share(counter.activationBytes, planned.workspaceBytes)
            #expect((0.95...1.05).contains(workspace), "\(what): workspace \(workspace)")
            // Beside a screenshot's the decoder's is little: what more rows take is its own.
            let before = counter.activationBytes
            _ = try part.decoder(backend, maxRows: 2 * Self.rows)
            let (one, two) = (planned.workspaceBytes, footprint(rows: 2 * Self.rows).workspaceBytes)
            let decoders = counter.activationBytes - before
            #expect(two - one == decoders - decoderBytes, "\(what): decoder")
        }
    }

    /// Of the size that a phone shows, in this model's patches.
    private static func screenshot(_ configuration: ModelConfiguration) throws -> PreparedImage {
        let vision = try #require(configuration.vision)
        let side = vision.patchSize * vision.mergeSize
        let columns = 78 / vision.mergeSize, rows = 172 / vision.mergeSize
        return PreparedImage(
            width: columns * side, height: rows * side, originalWidth: 1080, originalHeight: 2400,
            rgb: [UInt8](repeating: 0, count: columns * rows * side * side * 3), patchSize: vision.patchSize,
            mergeSize: vision.mergeSize, mean: .zero, deviation: .one)
    }

    @Test(arguments: [(1, TowerMode.weights), (2, .weights), (2, .data), (4, .data)], [DType.f32, .bf16, .q8_0])
    func theTinyModel(size: (Int, TowerMode), cacheType: DType) throws {
        try expectPlanned(TinyModel(), tensor: size.0, mode: size.1, cacheType: cacheType)
    }

    @Test func theTinyModelIn8Bits() throws {
        var model = try TinyModel()
        model.quantization = .int8
        try expectPlanned(model, tensor: 1, mode: .weights, cacheType: .f16)
    }

    @Test(
        .enabled(if: ProcessInfo.processInfo.environment["MARTLET_SMOLLM2"] != nil, "MARTLET_SMOLLM2 names no file"),
        arguments: [1, 3])
    func smolLM2(tensor: Int) throws {
        let path = try #require(ProcessInfo.processInfo.environment["MARTLET_SMOLLM2"])
        let files = try ModelFiles.open(path, environment: [:])
        let model = TinyModel(configuration: files.configuration, source: files.weights)
        try expectPlanned(model, tensor: tensor, mode: .weights, cacheType: .f16)
    }
}
