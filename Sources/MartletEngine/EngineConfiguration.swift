/// Every limit of the engine in one place.
package struct EngineConfiguration: Sendable, Equatable {
    /// Sequences in a step at most (`--max-num-seqs`).
    package var maxRunningSequences = 16
    /// Rows of a step at most (`--max-num-batched-tokens`).
    package var maxBatchedTokens = 2048
    /// Rows of one prefill in a step at most, if set (`--long-prefill-token-threshold`).
    package var longPrefillTokens: Int?
    package var maxWaitingRequests = 256
    package var maxWaitingTokens = 4_000_000
    /// A request that waited this long for admission ends with an error.
    package var queueTimeoutSeconds = 60.0
    /// Seconds a step is filled to (D4).
    package var stepTargetSeconds = 1.0
    package var enablePrefixCaching = true
    /// Off: a prompt is prefilled in one step, or waits until it fits.
    package var enableChunkedPrefill = true
    /// Guesses behind decodes, if set.
    package var speculation: SpeculationConfiguration?
    package var schedulingPolicy = SchedulingPolicy.firstComeFirstServed
    /// End-of-generation ids of the model (MODEL.md 4.3).
    package var endTokens: [Int32] = []
    /// Part of every block key: two models never share KV.
    package var modelIdentity = ""
    /// Prompts that may wait to be prefilled ahead; the oldest goes when one more comes.
    package var maxAheadPrompts = 16
    /// Tokens of all of them.
    package var maxAheadTokens = 131_072
    /// Older ones are given up: whoever would have begun with them has come, or will not.
    package var aheadSeconds = 30.0
    /// Undelivered events a request may have before it is cancelled (D15).
    package var eventBufferLimit = 4096

    /// Rows that a step may hold, which a runner must have room for: every slot may decode, and a prefill always finds
    /// a row beside them.
    package static func stepRows(maxBatchedTokens: Int, slots: Int) -> Int { max(maxBatchedTokens, slots + 1) }

    package init() {}
}

package enum SchedulingPolicy: String, Sendable {
    case firstComeFirstServed = "fcfs"
    case priority
}
