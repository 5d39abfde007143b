import Foundation
import MartletCore
import MartletEngine
import MartletModels
import MartletServer
import MartletText

/// A model and its running engine inside this process: what `chat`, `bench` and `selfcheck` talk to.
struct LocalModel: Sendable {
    let assembly: ModelAssembly
    let engine: any GenerationEngine
    let defaults: GenerationDefaults

    /// What one generation gave.
    struct Output: Equatable {
        var tokens: [SampledToken] = []
        /// Seconds from the submission to each event with tokens.
        var seconds: [Double] = []
        var cachedTokens = 0
        var finish: FinishReason?
        var message: String?
    }

    /// Loads with a progress bar, runs `body` beside the engine, and stops the engine.
    static func run(
        _ settings: ServeSettings, isQuiet: Bool = false, body: (LocalModel) async throws -> Void
    ) async throws {
        let environment = ProcessInfo.processInfo.environment
        let progress = Guarded(LoadProgress { ConsoleLog.write($0 + "\n") })
        let (assembly, runners) = try ModelAssembly.load(settings.model, environment: environment) { event in
            if case .loaded(let done, let total) = event, !isQuiet {
                progress.with { $0.show(done, of: total) }
            }
            if case .sized = event { progress.with { $0.finish() } }
        }
        var configuration = settings.engine
        configuration.endTokens = assembly.endTokens
        configuration.modelIdentity = assembly.files.location
        // Whoever asks here is the only one: being turned away helps nobody, however long the machine takes.
        configuration.queueTimeoutSeconds = 86400
        let engine = EngineGroup(
            configuration: configuration, runners: runners, seeds: SeedSource(seed: settings.seed))
        let defaults = try GenerationFile.defaults(
            choice: settings.generationConfig, own: assembly.files.generationConfig,
            overrides: settings.generationOverrides
        ).defaults
        let loop = Task { await engine.run() }
        defer { loop.cancel() }
        try await body(LocalModel(assembly: assembly, engine: engine, defaults: defaults))
    }

    /// Runs `request` to its end. `onTokens` sees every event's tokens as they come.
    func generate(
        _ request: GenerationRequest, onTokens: ([SampledToken]) -> Bool = { _ in true }
    ) async throws -> Output {
        let start = ContinuousClock.now
        let generation: Generation
        do throws(EngineError) { generation = try await engine.submit(request) } catch {
            throw GenerationFailure(reason: Self.words(error))
        }
        var output = Output()
        for await event in generation.events {
            switch event {
            case .started(_, let cached): output.cachedTokens = cached
            case .tokens(_, let tokens):
                output.tokens += tokens
                output.seconds.append((ContinuousClock.now - start).seconds)
                if !onTokens(tokens) {
                    output.finish = .stop
                    await engine.cancel(generation.id)
                    return output
                }
            case .finished(_, let reason, _, let message):
                output.finish = reason
                output.message = message
            }
        }
        if output.finish == .error { throw GenerationFailure(reason: output.message ?? "the engine gave no reason") }
        return output
    }

    private static func words(_ error: EngineError) -> String {
        switch error {
        case .promptTooLong(let tokens, let limit):
            "the prompt has \(tokens) tokens, and the context \(limit). Give a larger --max-model-len."
        case .promptEmpty: "the prompt is empty."
        case .invalidToken(let token): "token \(token) is not in the vocabulary."
        case .imageTooLarge(let tokens, let limit):
            "the picture takes \(tokens) tokens, and at most \(limit) fit."
        case .exceedsCache(let tokens, let limit):
            "the prompt has \(tokens) tokens, and the KV cache holds \(limit)."
        case .queueFull: "too much waits already."
        case .draining: "the engine is shutting down."
        case .dead(let reason): reason
        }
    }
}

/// A generation that ended with an error.
struct GenerationFailure: Error, Equatable, CustomStringConvertible {
    let reason: String
    var description: String { "Generation failed: \(reason)" }
}
