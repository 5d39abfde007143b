import MartletCPU
import MartletCUDA
import MartletCore
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletModels

/// `--dtype half` on a checkpoint whose vision tower leaves the range of f16: the tower computes in bf16, beside a
/// decoder in f16, on one stream.
@Suite struct HalfSafetyTests {
    /// The tiny checkpoint with gates and ups of the tower 400 times as large, and downs so much smaller that the
    /// tower's output stays in range while the product between them does not.
    private final class LoudTower: WeightSource {
        private let quiet: any WeightSource

        init(_ quiet: any WeightSource) { self.quiet = quiet }

        func info(_ name: String) -> TensorInfo? { quiet.info(name) }

        func withRows<Result>(
            _ name: String, _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
        ) throws -> Result {
            var factor: Float = 1
            if name.contains("visual.blocks"), name.contains("gate_proj") || name.contains("up_proj") { factor = 400 }
            if name.contains("visual.blocks"), name.contains("down_proj") { factor = 1 / 160_000 }
            return try quiet.withRows(name, range) { stored in
                let loud = stored.bindMemory(to: Float.self).map { $0 * factor }
                return try loud.withUnsafeBytes(body)
            }
        }

        func discard(_ name: String) {}
    }

    private func embeddings<B: Backend>(_ model: TinyModel, on backend: B) throws -> Activation<B.Storage> {
        let tower = try #require(try model.tower(backend))
        let encoding = try tower.begin(TinyModel.images()[0])
        for unit in 0..<tower.configuration.unitCount(of: encoding.image) { try tower.run(unit: unit, of: encoding) }
        return encoding.embeddings
    }

    @Test func theTowerStaysInRange() throws {
        let quiet = try TinyModel()
        let model = TinyModel(configuration: quiet.configuration, source: LoudTower(quiet.source))
        let cpu = try CPUBackend(threads: 1)
        let truth = cpu.read(try embeddings(model, on: cpu))
        let size = truth.reduce(0) { max($0, abs($1)) }
        try EmulatedGPUs.run { gpus in
            let half = try gpus.backend(.f16)
            let overflown = try half.read(try embeddings(model, on: half))
            let isFinite = overflown.allSatisfy { $0.isFinite }
            #expect(!isFinite, "the weights are not loud enough to tell")
            let found = try embeddings(model, on: half.beside(operandType: .bf16))
            // Read by the other, as the decoder's rows are.
            let worst = zip(try half.read(found), truth).reduce(0) { max($0, abs($1.0 - $1.1)) }
            #expect(worst <= 3e-2 * size, "\(worst) of \(size)")
        }
    }
}
