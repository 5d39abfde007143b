/// What a simulation showed. Times in seconds of its clock.
package struct SimulationReport: Sendable, Equatable {
    /// What every answer should keep to: time to its first token, and mean time of each token after it.
    package struct Target: Sendable, Equatable {
        package var firstToken: Double
        package var perToken: Double

        package init(firstToken: Double, perToken: Double) {
            self.firstToken = firstToken
            self.perToken = perToken
        }
    }

    package internal(set) var requestCount = 0
    /// Answered to the end; of these, within the target.
    package internal(set) var finishedCount = 0
    package internal(set) var goodCount = 0
    /// Not taken; of these, for what they are, and not because all queues were full.
    package internal(set) var refusedCount = 0
    package internal(set) var unfitCount = 0
    /// Taken, and ended with an error: they waited too long.
    package internal(set) var failedCount = 0
    /// From the first arrival to the last answer.
    package internal(set) var seconds = 0.0
    package internal(set) var promptTokens = 0
    package internal(set) var outputTokens = 0
    package internal(set) var firstToken = Distribution()
    package internal(set) var queueing = Distribution()
    package internal(set) var interToken = Distribution()
    package internal(set) var endToEnd = Distribution()
    /// Of all replicas together.
    package internal(set) var statistics = EngineStatistics()
    /// Share of the time in which each replica had work, ascending.
    package internal(set) var utilisations: [Double] = []

    package init() {}

    /// Share of the prompts' tokens that stood in a prefix cache.
    package var hitShare: Double {
        let queried = statistics.prefixQueriedTokens
        return queried == 0 ? 0 : Double(statistics.prefixHitTokens) / Double(queried)
    }

    package func perSecond(_ count: Int) -> Double { seconds > 0 ? Double(count) / seconds : 0 }
}
