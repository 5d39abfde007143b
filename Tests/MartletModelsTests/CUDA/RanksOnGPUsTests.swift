import MartletCUDA
import MartletCore
import MartletEngine
import MartletParallel
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletModels

/// A model over several emulated GPUs, or several ranks of one, says what it says on one rank.
@Suite(.timeLimit(.minutes(10))) struct RanksOnGPUsTests {
    struct Layout: Sendable, CustomTestStringConvertible {
        let tensor, pipeline, devices: Int
        /// Whether ranks read each other's memory; else they exchange through the host's.
        let reaches: Bool

        var testDescription: String { "TP \(tensor) PP \(pipeline) on \(devices), peers: \(reaches)" }
    }

    static let layouts = [
        Layout(tensor: 2, pipeline: 1, devices: 1, reaches: true),
        Layout(tensor: 2, pipeline: 1, devices: 2, reaches: true),
        Layout(tensor: 2, pipeline: 1, devices: 1, reaches: false),
        Layout(tensor: 1, pipeline: 2, devices: 2, reaches: true),
        Layout(tensor: 2, pipeline: 2, devices: 2, reaches: true),
    ]

    private func ranked(_ layout: Layout, _ gpus: EmulatedGPUs) throws -> RankedModel<CUDABackend> {
        let stages = (0..<layout.pipeline).map { _ in PeerGroup(size: layout.tensor) }
        return try RankedModel(TinyModel(), tensor: layout.tensor, pipeline: layout.pipeline) { shard, communicator in
            try CUDABackend(
                gpus.device(shard.rank % layout.devices), operandType: .f32, threads: 1, communicator: communicator,
                peers: layout.reaches ? stages[shard.stage] : nil)
        }
    }

    @Test(arguments: layouts) func sameTokens(_ layout: Layout) async throws {
        let requests = [
            GenerationRequest.greedy(try TinyModel.prompt()), .greedy(Prompt(tokens: TinyModel.textTokens)),
        ]
        let expected = try await RankedModel(TinyModel()).serve { try await $0.completeTogether(requests) }
        try await EmulatedGPUs.run(count: layout.devices) { gpus in
            let found = try await ranked(layout, gpus).serve(maxBatchedTokens: 64, blockCount: 64) { engine in
                try await engine.completeTogether(requests)
            }
            for (one, other) in zip(found, expected) { expectNear(one[0], other[0], layout.testDescription) }
        }
    }

    /// The device of one rank is lost: the others are let go, and every stream ends.
    @Test(arguments: [0, 1]) func aLostRankEndsAll(_ device: Int) async throws {
        let layout = Layout(tensor: 2, pipeline: 1, devices: 2, reaches: true)
        try await EmulatedGPUs.run(count: 2) { gpus in
            try await ranked(layout, gpus).serve(blockCount: 64) { engine in
                let request = GenerationRequest.greedy(Prompt(tokens: TinyModel.textTokens), maxTokens: 400)
                var tokens = 0
                for await event in try await engine.submit(request).events {
                    if case .tokens(_, let some) = event {
                        tokens += some.count
                        if tokens == 3 { gpus.lose(device, after: 9) }
                    }
                    if case .finished(_, let reason, _, _) = event { #expect(reason == .error) }
                }
                guard case .dead(let reason) = engine.health() else { return #expect(Bool(false), "alive") }
                #expect(reason.contains("The GPU is lost: "), "\(reason)")
            }
        }
    }
}
