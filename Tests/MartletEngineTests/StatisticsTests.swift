import MartletEngine
import MartletTestSupport
import Testing

@Suite struct StatisticsTests {
    /// A step a second: every figure can be counted on fingers.
    @Test func timesAndCounts() throws {
        var configuration = EngineConfiguration()
        configuration.maxBatchedTokens = 5
        let simulation = Simulation(limits: .small(slotCount: 2), configuration: configuration)
        try simulation.add(GenerationRequest(Array(repeating: 3, count: 10), maxTokens: 4), id: 1)
        simulation.run()
        let statistics = simulation.statistics
        let histograms = statistics.histograms
        // Scheduled at 1, first token at 2, last at 5.
        #expect(histograms.queueTime.sum == 1 && histograms.queueTime.total == 1)
        #expect(histograms.timeToFirstToken.sum == 2)
        #expect(histograms.prefillTime.sum == 1)
        #expect(histograms.decodeTime.sum == 3)
        #expect(histograms.inferenceTime.sum == 4)
        #expect(histograms.endToEnd.sum == 5)
        #expect(histograms.interTokenLatency.sum == 3 && histograms.interTokenLatency.total == 3)
        #expect(histograms.timePerOutputToken.sum == 1 && histograms.timePerOutputToken.total == 1)
        #expect(histograms.iterationTokens.sum == 13 && histograms.iterationTokens.total == 5)
        #expect(histograms.promptTokens.sum == 10 && histograms.generatedTokens.sum == 4)
        #expect(histograms.requestPreemptions.sum == 0 && histograms.requestPreemptions.total == 1)
        #expect(statistics.promptTokens == 10 && statistics.generatedTokens == 4 && statistics.steps == 5)
        #expect(statistics.finishedLength == 1 && statistics.finishedStop == 0)
        #expect(statistics.blockCount == 256 && statistics.blockSize == 4 && statistics.usedBlockCount == 0)
        #expect(statistics.cachedBlockCount == 3)
    }

    @Test func gauges() throws {
        let simulation = Simulation(limits: .small(slotCount: 1))
        try simulation.add(GenerationRequest([1, 2, 3, 4, 5], maxTokens: 9), id: 1)
        try simulation.add(GenerationRequest([1], maxTokens: 9), id: 2)
        simulation.step()
        #expect(simulation.statistics.runningCount == 1 && simulation.statistics.waitingCount == 1)
        #expect(simulation.statistics.usedBlockCount == 2)
        #expect(simulation.statistics.cacheUsage == 2.0 / 256)
    }
}
