import Logging
import MartletEngine

/// What every handler works with.
struct ServerEnvironment: Sendable {
    let model: ServedModel
    let configuration: ServerConfiguration
    let engine: any GenerationEngine
    let readiness: Readiness
    let metrics: ServerMetrics
    /// Where images are decoded.
    let gate: WorkGate
    let fetcher: MediaFetcher
    /// Where images are fetched.
    let fetchGate: WorkGate
    let logger: Logger
    /// Seconds since 1970.
    let now: @Sendable () -> Int

    var bounds: GenerationOptions.Bounds {
        GenerationOptions.Bounds(
            limits: configuration.limits, defaults: model.defaults, vocabularySize: model.vocabularySize)
    }

    var preparation: RequestPreparation {
        RequestPreparation(
            model: model, configuration: configuration, gate: gate, fetcher: fetcher, fetchGate: fetchGate)
    }
}
