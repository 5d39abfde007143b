import Foundation
import MartletModels
import MartletTensor

/// Weights, KV cache and activations of a model on one device.
struct MemoryPlan {
    let configuration: ModelConfiguration
    /// Of the device.
    let bytes: Int
    /// Tokens of one sequence.
    let length: Int
    let cacheType: DType
    /// Rows of a step.
    let rows: Int

    struct Share: Equatable {
        let weightBytes: Int
        let cacheBytesPerToken: Int
        let activationBytes: Int
        /// KV tokens that the rest of the memory holds; below 0 = the weights alone do not fit.
        let tokens: Int

        var fits: Bool { tokens > 0 }
    }

    func share(storage: DType?) -> Share {
        let footprint = ModelFootprint(configuration, dtype: storage)
        let perToken = footprint.cacheBytesPerToken(cacheType)
        let activations = footprint.activationBytes(rows: rows)
        let free = bytes - footprint.weightBytes - activations
        return Share(
            weightBytes: footprint.weightBytes, cacheBytesPerToken: perToken, activationBytes: activations,
            tokens: free <= 0 ? -1 : free / max(1, perToken))
    }

    func text(name: String) -> String {
        let footprint = ModelFootprint(configuration)
        let gibibytes = LoadProgress.gibibytes
        var text = """
            \(name): \(configuration.architecture.rawValue), \
            \(StartLog.parameters(footprint.parameterCount)) parameters\
            \(configuration.vision == nil ? "" : ", with a vision tower")
            Weights as stored (\(configuration.dtype.rawValue)): \(gibibytes(footprint.weightBytes)) GiB
            KV cache (\(cacheType.cacheName)): \(footprint.cacheBytesPerToken(cacheType)) bytes a token, \
            \(gibibytes(footprint.cacheBytesPerToken(cacheType) * length)) GiB for a sequence of \
            \(StartLog.grouped(length)) tokens
            Activations of a step of \(rows) rows: \(gibibytes(footprint.activationBytes(rows: rows))) GiB

            1 device of \(gibibytes(bytes)) GiB; figures for each device:

            weights     devices  weights GiB  KV bytes/token   KV tokens  sequences of \(StartLog.grouped(length))

            """
        for storage in storages { text += row(storage) }
        return text + "\n" + advice
    }

    /// As the files have it; for plain weights also in 8 and 4 bits, as GGUF files of the model have them.
    private var storages: [DType?] { configuration.dtype.isQuantized ? [nil] : [nil, .q8_0, .q4_0] }

    private func row(_ storage: DType?) -> String {
        let share = share(storage: storage)
        let name = (storage ?? configuration.dtype).rawValue.padding(toLength: 10, withPad: " ", startingAt: 0)
        let cells = [
            "1".paddedLeft(9), LoadProgress.gibibytes(share.weightBytes).paddedLeft(13),
            "\(share.cacheBytesPerToken)".paddedLeft(16),
            share.fits ? StartLog.grouped(share.tokens).paddedLeft(12) : "none".paddedLeft(12),
            share.fits ? "  " + StartLog.fixed(Double(share.tokens) / Double(max(1, length)), 1) : "  does not fit",
        ]
        return name + cells.joined() + "\n"
    }

    private var advice: String {
        let share = share(storage: nil)
        if share.tokens >= length {
            return
                "As stored it fits: --max-model-len \(length) with \(share.tokens / max(1, length)) full sequences at"
                + " once.\n"
        }
        if share.fits { return "As stored it fits with --max-model-len \(share.tokens) at most.\n" }
        for storage in storages.compactMap(\.self) {
            let smaller = self.share(storage: storage)
            if smaller.fits {
                return
                    "As stored it does not fit; a \(storage.rawValue.uppercased()) GGUF file does, with"
                    + " --max-model-len \(min(length, smaller.tokens)).\n"
            }
        }
        return "It does not fit. More memory or more devices are needed.\n"
    }
}

extension String {
    /// Spaces in front up to `width` characters.
    func paddedLeft(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
