/// A snapshot of counters since start and gauges of now; the metrics page is made of it.
package struct EngineStatistics: Sendable, Equatable {
    package var runningCount = 0
    package var waitingCount = 0
    package var blockCount = 0
    package var blockSize = 0
    /// Blocks that a sequence holds.
    package var usedBlockCount = 0
    /// Blocks that hold a reusable prefix and no sequence.
    package var cachedBlockCount = 0
    package var prefixQueriedTokens: UInt64 = 0
    package var prefixHitTokens: UInt64 = 0
    /// Tokens prefilled before anyone asked for them, and of those what a request found; whole blocks.
    package var aheadTokens: UInt64 = 0
    package var aheadHitTokens: UInt64 = 0
    package var encoderQueries: UInt64 = 0
    package var encoderHits: UInt64 = 0
    package var encodedImageTokens: UInt64 = 0
    package var preemptions: UInt64 = 0
    /// Prompt tokens computed or found, and tokens generated.
    package var promptTokens: UInt64 = 0
    package var generatedTokens: UInt64 = 0
    package var steps: UInt64 = 0
    /// Time inside the model's operations.
    package var forwardSeconds = 0.0
    package var rejectedRequests: UInt64 = 0
    package var finishedStop: UInt64 = 0
    package var finishedLength: UInt64 = 0
    package var finishedCancelled: UInt64 = 0
    package var finishedError: UInt64 = 0
    /// Failed checks of the block accounting; anything but 0 is a bug.
    package var integrityFailures: UInt64 = 0
    /// nil without speculation.
    package var speculation: SpeculationStatistics?
    package var histograms = EngineHistograms()

    package init() {}

    /// Share of the KV cache that sequences hold, 0…1.
    package var cacheUsage: Double { blockCount == 0 ? 0 : Double(usedBlockCount) / Double(blockCount) }
}

/// Distributions, in the buckets dashboards expect (vLLM's).
package struct EngineHistograms: Sendable, Equatable {
    package var timeToFirstToken = Histogram(bounds: Histogram.firstToken)
    package var interTokenLatency = Histogram(bounds: Histogram.perToken)
    package var timePerOutputToken = Histogram(bounds: Histogram.perToken)
    package var endToEnd = Histogram(bounds: Histogram.request)
    package var queueTime = Histogram(bounds: Histogram.request)
    package var inferenceTime = Histogram(bounds: Histogram.request)
    package var prefillTime = Histogram(bounds: Histogram.request)
    package var decodeTime = Histogram(bounds: Histogram.request)
    package var iterationTokens = Histogram(bounds: Histogram.iteration)
    package var promptTokens = Histogram(bounds: Histogram.tokens)
    package var generatedTokens = Histogram(bounds: Histogram.tokens)
    package var requestPreemptions = Histogram(bounds: [1, 2, 3, 4, 5, 10, 20])

    package init() {}
}

// MARK: - Several engines

extension EngineStatistics {
    /// Of all engines together.
    package init(total engines: [EngineStatistics]) {
        self.init()
        for (index, engine) in engines.enumerated() {
            for field in Self.gauges { self[keyPath: field] += engine[keyPath: field] }
            for field in Self.counters { self[keyPath: field] += engine[keyPath: field] }
            for field in EngineHistograms.all { histograms[keyPath: field].add(engine.histograms[keyPath: field]) }
            blockSize = engine.blockSize
            forwardSeconds += engine.forwardSeconds
            if index == 0 { speculation = engine.speculation } else { speculation?.add(engine.speculation) }
        }
    }

    private static var gauges: [WritableKeyPath<Self, Int>] {
        [\.runningCount, \.waitingCount, \.blockCount, \.usedBlockCount, \.cachedBlockCount]
    }

    private static var counters: [WritableKeyPath<Self, UInt64>] {
        [
            \.prefixQueriedTokens, \.prefixHitTokens, \.aheadTokens, \.aheadHitTokens, \.encoderQueries, \.encoderHits,
            \.encodedImageTokens, \.preemptions, \.promptTokens, \.generatedTokens, \.steps, \.rejectedRequests,
            \.finishedStop, \.finishedLength, \.finishedCancelled, \.finishedError, \.integrityFailures,
        ]
    }
}

extension EngineHistograms {
    fileprivate static var all: [WritableKeyPath<Self, Histogram>] {
        [
            \.timeToFirstToken, \.interTokenLatency, \.timePerOutputToken, \.endToEnd, \.queueTime, \.inferenceTime,
            \.prefillTime, \.decodeTime, \.iterationTokens, \.promptTokens, \.generatedTokens, \.requestPreemptions,
        ]
    }
}
