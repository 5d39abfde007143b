import Foundation
import Logging
import MartletEngine
import ServiceLifecycle

/// Every few seconds, the line people grep for (vLLM's, word for word; API.md 2.3). At debug level while idle.
struct StatisticsLog: Service {
    let engine: any GenerationEngine
    let seconds: Double
    let logger: Logger

    func run() async throws {
        let clock = ContinuousClock()
        var before = await engine.statistics()
        var instant = clock.now
        var wasIdle = true
        for await _ in AsyncTimer(seconds: seconds).cancelOnGracefulShutdown() {
            let now = await engine.statistics()
            let elapsed = (clock.now - instant) / .seconds(1)
            let line = Self.line(before: before, now: now, seconds: elapsed)
            let isIdle = line.isIdle
            // The first idle line still shows: it says that the work ended.
            logger.log(level: isIdle && wasIdle ? .debug : .info, "\(line.text)")
            (before, instant, wasIdle) = (now, clock.now, isIdle)
        }
    }

    static func line(
        before: EngineStatistics, now: EngineStatistics, seconds: Double
    ) -> (text: String, isIdle: Bool) {
        func rate(_ field: KeyPath<EngineStatistics, UInt64>) -> Double {
            Double(now[keyPath: field] &- before[keyPath: field]) / max(seconds, 0.001)
        }
        let (prompt, generation) = (rate(\.promptTokens), rate(\.generatedTokens))
        let hits = now.prefixQueriedTokens == 0 ? 0 : Double(now.prefixHitTokens) / Double(now.prefixQueriedTokens)
        let text = String(
            format: "Engine 000: Avg prompt throughput: %.1f tokens/s, Avg generation throughput: %.1f tokens/s, "
                + "Running: %d reqs, Waiting: %d reqs, GPU KV cache usage: %.1f%%, Prefix cache hit rate: %.1f%%",
            prompt, generation, now.runningCount, now.waitingCount, now.cacheUsage * 100, hits * 100)
        let isIdle = prompt == 0 && generation == 0 && now.runningCount == 0 && now.waitingCount == 0
        return (text, isIdle)
    }
}

/// Ticks until its consumer is cancelled.
private struct AsyncTimer: AsyncSequence, Sendable {
    let seconds: Double

    struct Iterator: AsyncIteratorProtocol {
        let seconds: Double
        mutating func next() async -> Void? {
            try? await Task.sleep(for: .seconds(seconds))
        }
    }

    func makeAsyncIterator() -> Iterator { Iterator(seconds: seconds) }
}
