import Foundation
import MartletCUDA
import MartletCore
import MartletEngine
import MartletModels
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletCommand

/// A model put together on GPUs as `serve` does it, on the emulation and the tiny checkpoint.
@Suite struct CUDAHardwareTests {
    private static let tiny = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../EndToEnd/tiny-glm4v").standardizedFileURL.path

    private func options(_ words: String) throws -> ModelOptions {
        let line = [Self.tiny, "--load-format", "dummy", "--max-model-len", "256"]
        return try FlagReader(line + words.split(separator: " ").map(String.init)).settings(environment: [:]).model
    }

    private func files(_ options: ModelOptions) throws -> ModelFiles {
        try ModelFiles.open(options.model, loadFormat: options.loadFormat, environment: [:])
    }

    /// The tokens that an engine on `machine` gives to a prompt, and the blocks of its cache.
    private func tokens(
        _ options: ModelOptions, on machine: some Hardware
    ) async throws -> (tokens: [TokenID], limits: RunnerLimits) {
        let (assembly, runners) = try ModelAssembly.load(
            files(options), options, on: machine, environment: [:], process: nil) { _ in }
        var configuration = EngineConfiguration()
        configuration.endTokens = assembly.endTokens
        configuration.queueTimeoutSeconds = 3600
        let limits = assembly.limits
        let group = EngineGroup(configuration: configuration, runners: runners, seeds: SeedSource(seed: 1))
        let loop = Task { await group.run() }
        var sampling = SamplingParameters()
        sampling.temperature = 0
        sampling.maxTokens = 6
        let prompt = Prompt(tokens: [291, 293, 296, 10, 40, 41, 297, 10])
        var tokens: [TokenID] = []
        for await event in try await group.submit(GenerationRequest(prompt: prompt, sampling: sampling)).events {
            if case .tokens(_, let some) = event { tokens += some.map(\.token) }
        }
        loop.cancel()
        await loop.value
        return (tokens, limits)
    }

    /// One rank, and two that share every layer, on a GPU each or both on one: the CPU's tokens.
    @Test(arguments: [("", 1), ("--tensor-parallel-size 2", 2), ("--tensor-parallel-size 2", 1)])
    func servesWhatTheCPUServes(_ words: String, _ gpuCount: Int) async throws {
        let options = try options(words + " --dtype float32")
        let expected = try await tokens(options, on: CPUHardware(options: options))
        #expect(expected.tokens.count == 6)
        try await EmulatedGPUs.run(count: gpuCount) { gpus in
            let machine = try CUDAHardware(
                options, files(options).configuration, library: gpus.library, environment: [:])
            let found = try await tokens(options, on: machine)
            #expect(found.tokens == expected.tokens)
            #expect(found.limits.blockCount > 100)
        }
    }

    @Test func aCacheTakesWhatItsShareLeaves() throws {
        let options = try options("--gpu-memory-utilization 0.75 --tensor-parallel-size 2")
        try EmulatedGPUs.run(count: 2, memoryBytes: 4 << 30) { gpus in
            let machine = try CUDAHardware(
                options, files(options).configuration, library: gpus.library, environment: [:])
            #expect(machine.availableBytes() == 8 << 30)
            // A quarter stays free, and what a step may still need.
            #expect(machine.cacheBytes(of: 8 << 30) == 2 * ((3 << 30) - CacheRoom.reserve))
            #expect(machine.cacheBytes(of: 4 << 30) == 2 * ((1 << 30) - CacheRoom.reserve))
            #expect(machine.cacheBytes(of: 1 << 30) == 0)
        }
    }

    /// f16 would overflow in the tower: there it is bf16.
    @Test(arguments: [("half", DType.f16, DType.bf16), ("bfloat16", .bf16, .bf16), ("float32", .f32, .f32)])
    func theTowerHasARangeOfItsOwn(_ word: String, _ operands: DType, _ tower: DType) throws {
        let options = try options("--dtype \(word)")
        try EmulatedGPUs.run { gpus in
            let machine = try CUDAHardware(
                options, files(options).configuration, library: gpus.library, environment: [:])
            let backend = try machine.soleBackend()
            #expect(backend.operandType == operands)
            #expect(machine.towerBackend(beside: backend).operandType == tower)
        }
    }
}
