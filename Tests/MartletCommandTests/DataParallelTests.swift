import Foundation
import MartletCPU
import MartletCore
import MartletEngine
import MartletModels
import MartletVision
import Testing

@testable import MartletCommand

/// Engines that share a model's weights, put together as `serve` does it, on the tiny checkpoint.
@Suite struct DataParallelTests {
    private static let tiny = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../EndToEnd/tiny-glm4v").standardizedFileURL.path

    /// What a choice became.
    private struct Outcome: Equatable {
        var engine = 0
        var cachedTokens = 0
        var tokens: [SampledToken] = []

        static func == (left: Self, right: Self) -> Bool { left.tokens == right.tokens }
    }

    private typealias Group = EngineGroup<GroupRunner>

    private func settings(_ more: [String]) throws -> ServeSettings {
        let line = [Self.tiny, "--load-format", "dummy", "--max-model-len", "512", "--kv-cache-memory-bytes", "8M"]
        return try FlagReader(line + more).settings(environment: [:])
    }

    /// Serves as the flags say while `body` runs; gives the bytes that were loaded too.
    private func serve<Result: Sendable>(
        _ flags: String, _ body: (Group, ModelAssembly) async throws -> Result
    ) async throws -> (result: Result, loaded: Int, total: Int) {
        let settings = try settings(flags.split(separator: " ").map(String.init))
        let counts = Guarded((loaded: 0, total: 0))
        let (assembly, runners) = try ModelAssembly.load(settings.model, environment: [:]) { event in
            if case .loaded(let bytes, let total) = event { counts.with { $0 = (bytes, total) } }
        }
        var configuration = settings.engine
        configuration.endTokens = assembly.endTokens
        configuration.queueTimeoutSeconds = 3600
        let group = EngineGroup(configuration: configuration, runners: runners, seeds: SeedSource(seed: 1))
        let loop = Task { await group.run() }
        defer { loop.cancel() }
        let result = try await body(group, assembly)
        let (loaded, total) = counts.with { $0 }
        return (result, loaded, total)
    }

    private func complete(_ request: GenerationRequest, _ group: Group) async throws -> Outcome {
        let generation = try await group.submit(request)
        var outcome = Outcome(engine: generation.id.engine)
        for await event in generation.events {
            switch event {
            case .started(_, let cached): outcome.cachedTokens = cached
            case .tokens(_, let tokens): outcome.tokens += tokens
            case .finished(_, let reason, _, let message): #expect(reason == .length, "\(message ?? "")")
            }
        }
        return outcome
    }

    private static func request(_ prompt: Prompt) -> GenerationRequest {
        var request = GenerationRequest(prompt: prompt, sampling: SamplingParameters())
        request.sampling.temperature = 0
        request.sampling.maxTokens = 8
        request.sampling.ignoresEndOfGeneration = true
        request.sampling.logprobCount = 3
        return request
    }

    /// Text, and a picture between text; of some lengths.
    private func requests(_ assembly: ModelAssembly) throws -> [GenerationRequest] {
        let processor = try #require(assembly.images)
        let mark = try #require(assembly.files.configuration.imageToken)
        let picture = try processor.prepare(PictureSize(width: 112, height: 84).picture(seed: 3))
        return (0..<12).map { index in
            let text = (0..<(5 + 7 * index)).map { TokenID(($0 * 31 + index * 17) % 250) }
            guard index % 3 == 0 else { return Self.request(Prompt(tokens: text)) }
            return Self.request(Prompt(tokens: text + [mark] + text, placeholder: mark, images: [picture]))
        }
    }

    /// Bit for bit what one engine says, whoever answers; with each engine's ranks, of what that many ranks say.
    @Test(arguments: [("", "-dp 2"), ("-dp 1", "-dp 3"), ("-tp 2", "-tp 2 -dp 2")])
    func everyEngineSaysTheSame(one: String, several: String) async throws {
        let expected = try await serve(one) { group, assembly in
            var outcomes: [Outcome] = []
            for request in try requests(assembly) { outcomes.append(try await complete(request, group)) }
            return outcomes
        }
        let found = try await serve(several) { group, assembly in
            try await withThrowingTaskGroup(of: (Int, Outcome).self) { tasks in
                let requests = try requests(assembly)
                for (index, request) in requests.enumerated() {
                    tasks.addTask { (index, try await complete(request, group)) }
                }
                var outcomes = [Outcome](repeating: Outcome(), count: requests.count)
                for try await (index, outcome) in tasks { outcomes[index] = outcome }
                return outcomes
            }
        }
        #expect(found.result == expected.result)
        #expect(Set(expected.result.map(\.engine)) == [0] && Set(found.result.map(\.engine)).count > 1)
        // The weights were read once for all of them.
        #expect(found.loaded == found.total && found.total == expected.total && expected.loaded == expected.total)
    }

    @Test func aSecondTurnFindsItsFirst() async throws {
        _ = try await serve("-dp 2") { group, assembly in
            let requests = try requests(assembly)
            // One with a picture and one without, one at each engine.
            let first = [try await complete(requests[9], group), try await complete(requests[10], group)]
            #expect(first.map(\.engine) == [0, 1] && first.map(\.cachedTokens) == [0, 0])
            for (index, request) in [requests[10], requests[9], requests[10]].enumerated() {
                var next = request
                next.prompt.tokens += [1, 2, 3, TokenID(4 + index)]
                let second = try await complete(next, group)
                #expect(second.engine == [1, 0, 1][index])
                #expect(second.cachedTokens == request.prompt.tokens.count / 16 * 16)
            }
        }
    }

    @Test func theCacheIsSharedOut() async throws {
        let one = try await serve("") { group, assembly in (await group.statistics().blockCount, assembly.threadCount) }
        let two = try await serve("-dp 2 --threads 4") { group, assembly in
            (await group.statisticsByEngine().map(\.blockCount), assembly.threadCount)
        }
        #expect(two.result.0.count == 2 && two.result.0[0] == two.result.0[1])
        #expect(two.result.0[0] == one.result.0 / 2 && two.result.1 == 4)
    }

    @Test func hostsAreRefused() throws {
        #expect(throws: UsageError.self) { try settings(["-dp", "2", "--data-parallel-size-local", "1"]) }
        #expect(throws: UsageError.self) { try settings(["-dp", "65"]) }
        #expect(throws: UsageError.self) { try settings(["-dp", "2", "--data-parallel-rank", "1"]) }
        #expect(try settings(["-dp", "2", "-dpl", "2"]).model.parallel.data == 2)
    }
}
