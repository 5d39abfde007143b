/// What ranks tell each other for one token, in bytes of f32, by the order of sums of D6: each rank sums its share of
/// the row and gives it to the others (reduce-scatter, then all-gather).
package struct ParallelTraffic: Sendable, Equatable {
    /// Of a stage's tensor ranks: two a layer, and one on the first stage for the embedding. None with one rank.
    package let allReducesPerStage: [Int]
    /// The row that is summed.
    package let allReduceBytes: Int
    /// What one rank sends in an all-reduce, and in how many messages.
    package let sentBytesPerAllReduce: Int
    package let messagesPerAllReduce: Int
    /// Logits that each tensor rank of the last stage receives for a sampled row.
    package let gatheredBytes: Int
    /// From each rank of a stage to its counterpart on the next.
    package let hopBytes: Int
    package let hopCount: Int

    package init(_ layout: ParallelLayout, decoder: DecoderConfiguration) {
        let ranks = layout.size.tensor
        let share = (decoder.hiddenSize + ranks - 1) / ranks
        allReducesPerStage = layout.stages.enumerated().map { stage, layers in
            ranks == 1 ? 0 : 2 * layers.count + (stage == 0 ? 1 : 0)
        }
        allReduceBytes = 4 * decoder.hiddenSize
        sentBytesPerAllReduce = 2 * (ranks - 1) * 4 * share
        messagesPerAllReduce = 2 * (ranks - 1)
        gatheredBytes = 4 * (decoder.vocabularyRows - (layout.shards.first?.vocabulary.count ?? 0))
        hopBytes = 4 * decoder.hiddenSize
        hopCount = layout.stages.count - 1
    }

    package var allReducesPerToken: Int { allReducesPerStage.reduce(0, +) }
}

/// How fast devices are: what bounds decoding.
package struct DeviceSpeeds: Sendable, Equatable {
    /// Bytes a second that a device reads from its memory.
    package var memory: Double
    /// Bytes a second that a rank sends to another; nil = as if it took no time.
    package var link: Double?
    /// Seconds that a message takes beside its bytes.
    package var linkLatency: Double

    package init(memory: Double, link: Double?, linkLatency: Double) {
        self.memory = memory
        self.link = link
        self.linkLatency = linkLatency
    }

    /// Seconds of `bytes` in `messages`.
    package func sending(_ bytes: Int, messages: Int) -> Double {
        guard let link else { return 0 }
        return Double(bytes) / link + Double(messages) * linkLatency
    }
}

/// The least time that a token can take: every byte read once, the slowest rank of a stage first, stages in turn.
package struct DecodeTime: Sendable, Equatable {
    /// Seconds of one token of one sequence, with nothing in the cache.
    package let seconds: Double
    /// More for every position of its context.
    package let secondsPerPosition: Double
    /// Of `seconds`, what goes between ranks.
    package let linkSeconds: Double

    /// `ranks`: of one copy, in order.
    package init(
        _ layout: ParallelLayout, traffic: ParallelTraffic, ranks: [RankFootprint], speeds: DeviceSpeeds
    ) {
        var read = 0.0, position = 0.0, link = 0.0
        for stage in layout.stages.indices {
            let own = ranks[(stage * layout.size.tensor)..<((stage + 1) * layout.size.tensor)]
            read += Double(own.map(\.readBytes).max() ?? 0) / speeds.memory
            position += Double(own.map(\.cacheBytesPerToken).max() ?? 0) / speeds.memory
            link += Double(traffic.allReducesPerStage[stage])
                * speeds.sending(traffic.sentBytesPerAllReduce, messages: traffic.messagesPerAllReduce)
        }
        if layout.size.tensor > 1 { link += speeds.sending(traffic.gatheredBytes, messages: 1) }
        link += Double(traffic.hopCount) * speeds.sending(traffic.hopBytes, messages: 1)
        seconds = read + link
        secondsPerPosition = position
        linkSeconds = link
    }

    package func seconds(context: Int) -> Double { seconds + Double(context) * secondsPerPosition }
}
