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

    /// The tokens that engines on `machine` give to a prompt each, the same one, and what the cache of each holds.
    private func tokens(
        _ options: ModelOptions, on machine: some Hardware
    ) async throws -> (tokens: [[TokenID]], limits: RunnerLimits, exchange: String?) {
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
        let request = GenerationRequest(
            prompt: Prompt(tokens: [291, 293, 296, 10, 40, 41, 297, 10]), sampling: sampling)
        var generations: [Generation] = []
        for _ in 0..<options.parallel.data { generations.append(try await group.submit(request)) }
        #expect(Set(generations.map(\.id.engine)).count == options.parallel.data)
        var tokens: [[TokenID]] = []
        for generation in generations {
            tokens.append([])
            for await event in generation.events {
                if case .tokens(_, let some) = event { tokens[tokens.count - 1] += some.map(\.token) }
            }
        }
        loop.cancel()
        await loop.value
        return (tokens, limits, assembly.rankExchange)
    }

    /// One rank; two that share every layer; two copies, each with half of what is left: on a GPU each or both on one
    /// that has room for little more. The CPU's tokens.
    @Test(arguments: [
        ("", 1), ("--tensor-parallel-size 2", 2), ("--tensor-parallel-size 2", 1), ("--data-parallel-size 2", 2),
        ("--data-parallel-size 2", 1),
    ])
    func servesWhatTheCPUServes(_ words: String, _ gpuCount: Int) async throws {
        let options = try options(words + " --dtype float32")
        let expected = try await tokens(options, on: CPUHardware(options: options))
        #expect(expected.tokens.allSatisfy { $0.count == 6 && $0 == expected.tokens[0] })
        let rankCount = options.parallel.rankCount / gpuCount
        try await EmulatedGPUs.run(count: gpuCount, memoryBytes: rankCount * (400 << 20)) { gpus in
            let machine = try CUDAHardware(
                options, files(options).configuration, library: gpus.library, environment: [:])
            let found = try await tokens(options, on: machine)
            #expect(found.tokens == expected.tokens)
            #expect(found.limits.blockCount > 100)
            // Ranks that need the host to exchange take one step at a time.
            let goesAhead = options.parallel.tensor == 1 || gpuCount == 2
            #expect(found.limits.depth == (goesAhead ? 2 : 1) && expected.limits.depth == 1)
            let exchange = gpuCount == 2 ? "NCCL 2.20.5" : "the GPUs' memory (ranks 0 and 1 share a GPU)"
            #expect(found.exchange == (options.parallel.tensor == 2 ? exchange : nil))
        }
    }

    @Test func aCacheTakesWhatItsShareLeaves() throws {
        let options = try options("--gpu-memory-utilization 0.75 --tensor-parallel-size 2")
        try EmulatedGPUs.run(count: 2, memoryBytes: 4 << 30) { gpus in
            let machine = try CUDAHardware(
                options, files(options).configuration, library: gpus.library, environment: [:])
            var memories = machine.memories(rankCount: 2)
            #expect(memories.map(\.seats) == [[0], [1]])
            #expect(memories.allSatisfy { $0.total == 4 << 30 && $0.available == 4 << 30 })
            // A quarter stays free, and what a step may still need.
            #expect(machine.cacheBytes(in: memories[1]) == (3 << 30) - CacheRoom.reserve)
            memories[1].available = 2 << 30
            #expect(machine.cacheBytes(in: memories[1]) == (1 << 30) - CacheRoom.reserve)
            memories[1].available = 1 << 29
            #expect(machine.cacheBytes(in: memories[1]) == 0)
            // Three ranks of this machine on its two GPUs.
            #expect(machine.memories(rankCount: 3).map(\.seats) == [[0, 2], [1]])
        }
    }

    /// The cache leaves room for the largest picture on its way through the tower, and for all that are kept.
    @Test(arguments: [
        // Of the largest picture, 2 x 2 patches a token: residual stream and angles in f32, q, k and v in 16 bits; a
        // strip of 1024 rows of attention. Of what is kept: 128 floats a token.
        ("", 16384, 6144, 1),
        (#"--mm-processor-kwargs {"max_pixels":1568000}"#, 16384, 1000, 1), ("--max-model-len 4096", 16384, 6144, 1),
        ("--tensor-parallel-size 2 --mm-encoder-tp-mode data", 16384, 6144, 2),
    ])
    func aCacheLeavesRoomForPictures(_ words: String, _ cached: Int, _ largest: Int, _ count: Int) throws {
        let options = try options(words)
        let files = try files(options)
        try EmulatedGPUs.run(count: count, memoryBytes: 4 << 30) { gpus in
            let machine = try CUDAHardware(options, files.configuration, library: gpus.library, environment: [:])
            let ranks = try RankAssembly(files, options: options, on: machine)
            let pictures = try #require(ranks.pictures), tower = try #require(ranks.layout.shards[0].tower)
            let limits = [pictures.cacheTokens, pictures.maxTokens, pictures.encodingCount]
            #expect(limits == [cached, largest, count])
            let patches = 4 * largest
            let encoding: Int = patches * (4 * (32 + 16) + 3 * 2 * 32) + min(patches, 1024) * 2 * 32
            #expect(pictures.bytes(tower, operandBytes: 2) == cached * 128 * 4 + count * encoding)
        }
    }

    /// `martlet plan` promises the cache that is there once the weights are loaded, but for the ends of allocations.
    @Test(arguments: ["", "--max-model-len 20000", #"--mm-processor-kwargs {"max_pixels":1568000}"#])
    func aPlanPromisesWhatIsThere(_ words: String) throws {
        let options = try options(words)
        let files = try files(options)
        let memoryBytes = 4 << 30
        try EmulatedGPUs.run(memoryBytes: memoryBytes) { gpus in
            let machine = try CUDAHardware(options, files.configuration, library: gpus.library, environment: [:])
            let ranks = try RankAssembly(files, options: options, on: machine)
            let bytesPerToken = ranks.layout.cacheBytesPerToken(ranks.cacheType)
            var room = 0
            _ = try ranks.load { _, _ in } sized: { depth in
                room = try #require(try ranks.cacheBytes())
                return try CachePlan(
                    options: options, cacheBytesPerToken: bytesPerToken,
                    modelLength: files.configuration.decoder.maxPositions, budget: room, pictures: ranks.pictures,
                    depth: depth
                ).limits(vocabularyCount: files.configuration.decoder.vocabularyRows)
            }
            let plan = ParallelPlan(
                configuration: files.configuration, tensors: files.configuration.tensors(of: files.weights),
                devices: DeviceList(count: 1, bytes: memoryBytes), share: options.deviceMemoryShare,
                size: options.parallel, storages: [WeightStorage()], askedLength: options.maxModelLength,
                cacheType: ranks.cacheType,
                rows: EngineConfiguration.stepRows(
                    maxBatchedTokens: options.maxBatchedTokens, slots: options.maxRunningSequences),
                images: ranks.images)
            let promised = try plan.fit(plan.storages[0], plan.size).commonTokens * bytesPerToken
            #expect(abs(promised - room) < 16 << 10, "\(promised) for \(room) bytes")
        }
    }

    /// Copies on one GPU have its room between them, those on two GPUs the smaller one's each.
    @Test(arguments: [(1, 1), (2, 2)])
    func copiesShareTheRoom(gpuCount: Int, times: Int) throws {
        let options = try options("--data-parallel-size 2")
        let files = try files(options)
        try EmulatedGPUs.run(count: gpuCount, memoryBytes: 4 << 30) { gpus in
            let machine = try CUDAHardware(options, files.configuration, library: gpus.library, environment: [:])
            let memory = try #require(machine.memories(rankCount: 2).first)
            let ranks = try RankAssembly(files, options: options, on: machine)
            let pictures = try #require(ranks.pictures), tower = try #require(ranks.layout.shards[0].tower)
            let pictureBytes = pictures.bytes(tower, operandBytes: machine.operandType.blockBytes)
            let room = times * (machine.cacheBytes(in: memory) - memory.seats.count * pictureBytes)
            let bytes = try #require(try ranks.cacheBytes())
            #expect(bytes <= room && bytes > room - 2 * ranks.layout.cacheBytesPerToken(ranks.cacheType))
        }
    }

    /// Where one copy fits and two do not, the error says so before anything is loaded, or when all is.
    @Test func copiesThatDoNotFit() throws {
        var one = try options("--dtype float32"), two = try options("--data-parallel-size 2 --dtype float32")
        (one.device, two.device) = (.cuda, .cuda)
        let files = try files(one)
        let weightBytes = ModelFootprint(files.configuration, dtype: .f32).weightBytes
        try EmulatedGPUs.run(memoryBytes: weightBytes * 3 / 2) { gpus in
            let machine = { (options: ModelOptions) in
                try CUDAHardware(options, files.configuration, library: gpus.library, environment: [:])
            }
            try RankAssembly(files, options: one, on: machine(one)).checkWeights()
            let error = #expect(throws: AssemblyError.self) {
                try RankAssembly(files, options: two, on: machine(two)).checkWeights()
            }
            #expect(
                error
                    == .weightsExceedMemory(
                        weights: 2 * weightBytes, available: weightBytes * 3 / 2, device: .cuda, rankCount: 2))
            #expect(error?.description.contains("ask for fewer copies (--data-parallel-size)") == true)
        }
        try EmulatedGPUs.run(memoryBytes: 400 << 20) { gpus in
            let machine = try CUDAHardware(two, files.configuration, library: gpus.library, environment: [:])
            let error = #expect(throws: AssemblyError.self) {
                _ = try ModelAssembly.load(files, two, on: machine, environment: [:], process: nil) { _ in }
            }
            #expect(error == .cacheTooSmall(tokens: 0, asked: 256, device: .cuda, copies: 2))
            #expect(error?.description.contains("fewer copies (--data-parallel-size), give more memory") == true)
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

    /// fp8 needs a GPU that has it; the tower is multiplied in operands.
    @Test(arguments: [(89, EightBits.fp8), (87, nil)]) func eightBitsAreTheDecoders(
        architecture: Int, format: EightBits?
    ) throws {
        let options = try options("-q fp8")
        try EmulatedGPUs.run(architecture: architecture) { gpus in
            let machine = try CUDAHardware(
                options, files(options).configuration, library: gpus.library, environment: [:])
            let backend = try machine.soleBackend()
            #expect(machine.eightBits == format && backend.eightBits == format)
            #expect(machine.towerBackend(beside: backend).eightBits == nil)
        }
    }
}
