import MartletCUDA
import MartletModels
import MartletTensor
import MartletVision

/// What every rank of a layout holds, and what fits beside it: a pure function of the layout and the devices.
struct ParallelPlan {
    let configuration: ModelConfiguration
    /// As the files have them.
    let tensors: [TensorInfo]
    let devices: DeviceList
    /// Of each device's memory, 0…1.
    let share: Double
    let size: ParallelSize
    /// The first is the one that the advice is about.
    let storages: [WeightStorage]
    /// Tokens of one sequence that must fit; nil = the model's own limit.
    let askedLength: Int?
    let cacheType: DType
    /// Rows of a step.
    let rows: Int
    /// nil: no times.
    var speeds: DeviceSpeeds?
    /// What pictures become; nil: the model sees none.
    var images: ImageProcessor?
    /// What the devices are.
    var device = ComputeDevice.cuda

    /// A layout on the devices.
    struct Fit {
        let layout: ParallelLayout
        /// Of one copy of the model.
        let ranks: [RankFootprint]
        /// What each holds beside weights and cache.
        let workspaceBytes: [Int]
        /// KV tokens that each rank has room for; below 0: what it holds is too much by itself.
        let tokens: [Int]
        let traffic: ParallelTraffic
        let time: DecodeTime?

        /// What all ranks have room for (D10).
        var commonTokens: Int { tokens.min() ?? -1 }
        var fits: Bool { commonTokens > 0 }
    }

    var deviceBytes: Int { Int(Double(devices.bytes) * share) }
    var length: Int { min(askedLength ?? .max, configuration.decoder.maxPositions) }

    /// Throws where the model cannot be shared out so.
    func fit(_ storage: WeightStorage, _ size: ParallelSize) throws(ParallelError) -> Fit {
        let layout = try ParallelLayout(configuration, tensors: tensors, size: size, storage: storage)
        let ranks = layout.shards.map {
            RankFootprint($0, of: configuration, tensors: tensors, storage: storage, cacheType: cacheType, rows: rows)
        }
        let workspaceBytes = zip(ranks, layout.shards).map { self.workspaceBytes(of: $0, $1, size) }
        let tokens = zip(ranks, workspaceBytes).map { rank, workspaceBytes in
            let free = deviceBytes - rank.weightBytes - workspaceBytes
            return free <= 0 ? -1 : free / max(1, rank.cacheBytesPerToken)
        }
        let traffic = ParallelTraffic(layout, decoder: configuration.decoder)
        return Fit(
            layout: layout, ranks: ranks, workspaceBytes: workspaceBytes, tokens: tokens, traffic: traffic,
            time: speeds.map { DecodeTime(layout, traffic: traffic, ranks: ranks, speeds: $0) })
    }

    /// A GPU keeps what `serve` sets aside there; a machine is asked for a screenshot when there is one.
    private func workspaceBytes(of rank: RankFootprint, _ shard: Shard, _ size: ParallelSize) -> Int {
        guard device == .cuda else { return rank.workspaceBytes }
        let pictureBytes = shard.tower.flatMap { tower in
            pictures(size)?.bytes(
                tower, operandBytes: CUDAHardware.operandType(ofWeights: configuration.dtype).blockBytes)
        }
        return rank.stepBytes + CacheRoom.workspace + CacheRoom.reserve + (pictureBytes ?? 0)
    }

    private func pictures(_ size: ParallelSize) -> PictureLimits? {
        let modelLength = configuration.decoder.maxPositions
        return images.map { PictureLimits($0, askedLength: askedLength, modelLength: modelLength, size: size) }
    }

    // MARK: Text

    func text(name: String) throws(ParallelError) -> String {
        let gibibytes = LoadProgress.gibibytes
        // Refused before anything is said.
        let asked = try fit(storages[0], size)
        var text = """
            \(name): \(configuration.architecture.rawValue), \
            \(StartLog.parameters(tensors.reduce(0) { $0 + $1.elementCount })) parameters\
            \(configuration.vision == nil ? "" : ", with a vision tower")
            \(devices.count) device\(devices.count == 1 ? "" : "s") of \(gibibytes(devices.bytes)) GiB, of which \
            \(gibibytes(deviceBytes)) GiB are used; KV cache in \(cacheType.cacheName); steps of \(rows) rows

            weights  layout            rank    layers  weights GiB  workspace GiB  KV bytes/token    KV tokens  \
            sequences of \(StartLog.grouped(length))\(timeHeading)

            """
        for storage in storages {
            var sizes = [size]
            if size.ranksPerReplica > 1 { sizes.insert(ParallelSize(), at: 0) }
            for size in sizes {
                do {
                    text += lines(try fit(storage, size), storage)
                } catch {
                    text += label(storage, size) + "  \(error)\n"
                }
            }
        }
        return text + "\n" + workspaceLine + trafficLine(asked) + timeLine + (try advice(asked))
    }

    private var times: [Int] { speeds == nil ? [] : Set([min(1024, length), length]).sorted() }

    private var timeHeading: String {
        times.map { "  ms/token at \(StartLog.grouped($0))" }.joined()
    }

    private func label(_ storage: WeightStorage, _ size: ParallelSize) -> String {
        Self.name(storage, configuration).padded(9) + size.name.padded(14)
    }

    static func name(_ storage: WeightStorage, _ configuration: ModelConfiguration) -> String {
        storage.quantization == .none ? configuration.dtype.rawValue : storage.quantization.rawValue.uppercased()
    }

    /// A line for every run of ranks that are alike.
    private func lines(_ fit: Fit, _ storage: WeightStorage) -> String {
        var text = ""
        var start = 0
        while start < fit.ranks.count {
            var end = start + 1
            let stage = fit.layout.shards[start].stage
            while end < fit.ranks.count, fit.layout.shards[end].stage == stage, fit.ranks[end] == fit.ranks[start] {
                end += 1
            }
            text += label(storage, fit.layout.size) + line(fit, start..<end) + "\n"
            start = end
        }
        return text
    }

    private func line(_ fit: Fit, _ range: Range<Int>) -> String {
        let rank = fit.ranks[range.lowerBound], tokens = fit.tokens[range.lowerBound]
        func span(_ range: Range<Int>) -> String {
            range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound - 1)"
        }
        let cells = [
            span(range).paddedLeft(8), span(fit.layout.shards[range.lowerBound].layers).paddedLeft(10),
            LoadProgress.gibibytes(rank.weightBytes).paddedLeft(13),
            LoadProgress.gibibytes(fit.workspaceBytes[range.lowerBound]).paddedLeft(15),
            "\(rank.cacheBytesPerToken)".paddedLeft(16),
            (tokens > 0 ? StartLog.grouped(tokens) : "none").paddedLeft(13),
        ]
        guard fit.fits else { return cells.joined() + (tokens > 0 ? "" : "  does not fit") }
        // Of the layout as a whole: said once.
        guard range.lowerBound == 0 else { return cells.joined() }
        let heading = "sequences of \(StartLog.grouped(length))"
        let sequences = StartLog.fixed(Double(fit.commonTokens) / Double(max(1, length)), 1)
        return cells.joined() + sequences.paddedLeft(heading.count + 2)
            + times.map { position in
                let text = fit.time.map { StartLog.fixed($0.seconds(context: position) * 1000, 1) } ?? ""
                return text.paddedLeft("  ms/token at \(StartLog.grouped(position))".count)
            }.joined()
    }

    private var workspaceLine: String {
        guard device == .cuda else { return "" }
        let pictures = pictures(size).map {
            ", \(StartLog.grouped($0.cacheTokens)) tokens of pictures and one of \(StartLog.grouped($0.maxTokens)) on"
                + " its way"
        }
        let kernels = (CacheRoom.workspace + CacheRoom.reserve) >> 20
        return "The workspace of a GPU has a step\(pictures ?? ""), and \(kernels) MiB for kernels; what the driver"
            + " takes for itself comes on top.\n"
    }

    private func trafficLine(_ fit: Fit) -> String {
        let traffic = fit.traffic, size = fit.layout.size
        var text = ""
        if size.tensor > 1 {
            text += """
                Between tensor ranks, a token: \(traffic.allReducesPerToken) all-reduces of \
                \(Self.bytes(traffic.allReduceBytes)), in which each rank sends \
                \(Self.bytes(traffic.allReducesPerToken * traffic.sentBytesPerAllReduce)) in \
                \(traffic.allReducesPerToken * traffic.messagesPerAllReduce) messages; then each gathers \
                \(Self.bytes(traffic.gatheredBytes)) of logits.

                """
        }
        if traffic.hopCount > 0 {
            text += """
                Between stages, a token: \(Self.bytes(traffic.hopBytes)) from each rank to its counterpart, \
                \(traffic.hopCount) time\(traffic.hopCount == 1 ? "" : "s"). A token passes the stages in turn; with \
                as many batches in flight as stages, all are busy.

                """
        }
        if size.data > 1 {
            text += "\(size.data) copies: figures are of one; what fits is \(size.data) times as much in all.\n"
        }
        let idle = devices.count - size.rankCount
        if idle > 0 { text += "\(idle) device\(idle == 1 ? " is" : "s are") not used.\n" }
        return text
    }

    private var timeLine: String {
        guard let speeds else {
            return "For times give --bandwidth (GB/s that a device reads; or measure) and --link (between devices).\n"
        }
        let link = speeds.link.map {
            ", messages at \(StartLog.fixed($0 / 1e9, 1)) GB/s and"
                + " \(StartLog.fixed(speeds.linkLatency * 1e6, 1)) us each"
        }
        let none = size.ranksPerReplica > 1 ? ", without what goes between ranks (give --link)" : ""
        return
            "Times are the least there can be: one sequence, every byte read once at"
            + " \(StartLog.fixed(speeds.memory / 1e9, 1)) GB/s\(size.ranksPerReplica > 1 ? link ?? none : "").\n"
    }

    private func advice(_ asked: Fit) throws(ParallelError) -> String {
        let layout = size.ranksPerReplica > 1 ? " with \(size.name)" : ""
        let name = Self.name(storages[0], configuration)
        if asked.commonTokens >= length {
            return "\(name)\(layout) fits: --max-model-len \(length) with \(asked.commonTokens / max(1, length)) full"
                + " sequences at once.\n"
        }
        if asked.fits { return "\(name)\(layout) fits with --max-model-len \(asked.commonTokens) at most.\n" }
        for storage in storages.dropFirst() {
            let smaller = try fit(storage, size)
            if smaller.fits {
                return "\(name)\(layout) does not fit; --quantization \(storage.quantization.rawValue) does, with"
                    + " --max-model-len \(min(length, smaller.commonTokens)).\n"
            }
        }
        return "It does not fit\(layout). More memory, more devices or a smaller file are needed.\n"
    }

    /// `16.0 KiB`.
    private static func bytes(_ count: Int) -> String {
        count < 1 << 20
            ? StartLog.fixed(Double(count) / 1024, 1) + " KiB" : StartLog.fixed(Double(count) / 1_048_576, 2) + " MiB"
    }
}

extension ParallelSize {
    /// `TP 2 x PP 2`.
    var name: String {
        let parts = [("TP", tensor), ("PP", pipeline), ("DP", data)].filter { $0.1 > 1 }.map { "\($0) \($1)" }
        return parts.isEmpty ? "1 rank" : parts.joined(separator: " x ")
    }
}

extension String {
    /// Spaces in front, up to `width` characters.
    fileprivate func paddedLeft(_ width: Int) -> String {
        String(repeating: " ", count: max(0, width - count)) + self
    }

    /// Spaces behind, up to `width` characters and one at least.
    fileprivate func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
