import MartletCUDA
import MartletCore
import MartletEngine
import MartletParallel
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletModels

/// A model over several emulated GPUs, or several ranks of one, says what it says on one rank.
@Suite(.timeLimit(.minutes(20))) struct RanksOnGPUsTests {
    enum Means: Sendable { case nccl, peers, host }

    struct Layout: Sendable, CustomTestStringConvertible {
        let tensor, pipeline, devices: Int
        /// The best that the ranks have to exchange by.
        let means: Means
        var writesDown = true

        /// Steps in flight, as such ranks take them.
        var depth: Int { means == .nccl && pipeline == 1 ? 2 : 1 }

        var testDescription: String { "TP \(tensor) PP \(pipeline) on \(devices), \(means), graphs: \(writesDown)" }
    }

    static let layouts = [
        Layout(tensor: 2, pipeline: 1, devices: 1, means: .peers),
        Layout(tensor: 2, pipeline: 1, devices: 2, means: .peers),
        Layout(tensor: 2, pipeline: 1, devices: 1, means: .host),
        Layout(tensor: 2, pipeline: 1, devices: 2, means: .nccl),
        Layout(tensor: 2, pipeline: 1, devices: 2, means: .nccl, writesDown: false),
        Layout(tensor: 1, pipeline: 2, devices: 2, means: .peers),
        Layout(tensor: 2, pipeline: 2, devices: 2, means: .peers),
        Layout(tensor: 2, pipeline: 2, devices: 4, means: .nccl),
    ]

    private func ranked(_ layout: Layout, _ gpus: EmulatedGPUs) throws -> RankedModel<CUDABackend> {
        let stages = (0..<layout.pipeline).map { _ in PeerGroup(size: layout.tensor) }
        var model = try TinyModel()
        model.depth = layout.depth
        return try RankedModel(model, tensor: layout.tensor, pipeline: layout.pipeline) { shard, communicator in
            try CUDABackend(
                gpus.device(shard.rank % layout.devices), operandType: .f32, threads: 1, communicator: communicator,
                peers: layout.means == .host ? nil : stages[shard.stage], capturesGraphs: layout.writesDown)
        }
    }

    @Test(arguments: layouts) func sameTokens(_ layout: Layout) async throws {
        let requests = [
            GenerationRequest.greedy(try TinyModel.prompt()), .greedy(Prompt(tokens: TinyModel.textTokens)),
        ]
        let expected = try await RankedModel(TinyModel()).serve { try await $0.completeTogether(requests) }
        try await EmulatedGPUs.run(count: layout.devices, hasNCCL: layout.means == .nccl) { gpus in
            let found = try await ranked(layout, gpus).serve(maxBatchedTokens: 64, blockCount: 64) { engine in
                try await engine.completeTogether(requests)
            }
            for (one, other) in zip(found, expected) { expectNear(one[0], other[0], layout.testDescription) }
            let exchanges = layout.means == .nccl ? layout.tensor * layout.pipeline : 0
            #expect(gpus.callCount(of: "ncclCommInitRank") == exchanges)
            // Where the host is needed for every exchange, nothing can be written down.
            let replays = layout.writesDown && (layout.tensor == 1 || layout.means == .nccl)
            #expect((gpus.callCount(of: "cuGraphLaunch") > 0) == replays)
        }
    }

    /// Sums are in order of rank, whoever carries what they are of: not a bit depends on it.
    @Test func sameBitsByAllMeans() async throws {
        let request = GenerationRequest.greedy(Prompt(tokens: TinyModel.textTokens), maxTokens: 12)
        var found: [[Outcome]] = []
        for means in [Means.host, .peers, .nccl] {
            let layout = Layout(tensor: 2, pipeline: 1, devices: 2, means: means, writesDown: means == .nccl)
            try await EmulatedGPUs.run(count: 2, hasNCCL: means == .nccl) { gpus in
                found += try await ranked(layout, gpus).serve(blockCount: 64) { engine in
                    try await engine.completeTogether([request])
                }
            }
        }
        let bits = found.map { $0[0].tokens.map { $0.logprob?.bitPattern } }
        #expect(bits[0].count == 12)
        #expect(bits[1] == bits[0])
        #expect(bits[2] == bits[0])
    }

    /// The device of one rank is lost: the others are let go, and every stream ends.
    @Test(arguments: [0, 1], [Means.peers, .nccl]) func aLostRankEndsAll(_ device: Int, _ means: Means) async throws {
        let layout = Layout(tensor: 2, pipeline: 1, devices: 2, means: means)
        try await EmulatedGPUs.run(count: 2, hasNCCL: means == .nccl) { gpus in
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
