/// What a GPU, or a library for one, could not do, in words that somebody can act on.
package enum CUDAError: Error, Equatable, CustomStringConvertible {
    /// `detail`: the system's words.
    case noDriver(detail: String)
    /// `version`: of CUDA, as the driver says it: 1000 * major + 10 * minor.
    case driverTooOld(version: Int)
    /// `packages`: what brings it.
    case noLibrary(name: String, packages: String, detail: String)
    case noDevice
    case deviceTooOld(name: String, major: Int, minor: Int)
    case outOfMemory(MemoryShortage)
    /// A kernel's source does not compile: a bug.
    case compilation(file: String, log: String)
    /// A call of a library failed; `name` is its word for `code`.
    case failed(call: String, code: Int, name: String)
    /// What GPUs exchange was given up, for the ranks no longer work together.
    case ranksLost(reason: String)

    package var description: String {
        switch self {
        case .noDriver(let detail):
            "there is no NVIDIA driver (\(detail)): install driver \(Self.leastDriver) or newer, or serve on the CPU"
        case .driverTooOld(let version):
            "the NVIDIA driver knows CUDA \(version / 1000).\(version % 1000 / 10); CUDA 12.2 is needed: install driver"
                + " \(Self.leastDriver) or newer"
        case .noLibrary(let name, let packages, let detail):
            "\(name) is not there (\(detail)): install \(packages)"
        case .noDevice:
            "no GPU is visible: see nvidia-smi, and CUDA_VISIBLE_DEVICES where it is set"
        case .deviceTooOld(let name, let major, let minor):
            "\(name) has compute capability \(major).\(minor); 8.0 (A100, RTX 30) or newer is needed"
        case .outOfMemory(let shortage): shortage.description
        case .compilation(let file, let log): "\(file) does not compile for this GPU: \(log)"
        case .failed(let call, let code, let name): "\(call) failed: \(name) (\(code))"
        case .ranksLost(let reason): reason
        }
    }

    private static let leastDriver = 535

    /// Whether the device's context is gone with it: whatever is called next gives the same.
    var isLasting: Bool {
        guard case .failed(_, let code, _) = self else { return false }
        return Self.lasting.contains(code)
    }

    /// Uncorrectable memory, an illegal address or instruction, a launch that timed out or failed, a bus or a device
    /// that is gone (cuda.h).
    private static let lasting: Set<Int> = [
        46, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 802, 911, 999,
    ]
}

/// Memory of a GPU that was not to be had.
package struct MemoryShortage: Error, Equatable, CustomStringConvertible {
    /// What memory is for.
    package enum Purpose: Sendable, Equatable {
        case weights, activations, workspace
        /// Of blocks of this many bytes.
        case cache(blockBytes: Int)
    }

    package let purpose: Purpose
    /// In bytes, all of them.
    package let asked: Int
    package let free: Int
    package let total: Int

    package var description: String {
        "out of GPU memory: \(Self.text(asked)) for \(what), while \(Self.text(free)) of \(Self.text(total)) are free;"
            + " \(advice)"
    }

    private var what: String {
        switch purpose {
        case .weights: "weights"
        case .activations: "activations"
        case .workspace: "working memory"
        case .cache(let blockBytes): "\(asked / max(blockBytes, 1)) KV blocks"
        }
    }

    private var advice: String {
        switch purpose {
        case .weights:
            "--quantization int8 halves 16-bit weights, --quantization int4 quarters them, more GPUs share them"
        case .activations, .workspace:
            "a smaller --max-num-batched-tokens or --gpu-memory-utilization leaves more room"
        case .cache(let blockBytes): "\(free / max(blockBytes, 1)) blocks would fit"
        }
    }

    private static func text(_ bytes: Int) -> String {
        let hundredths = Int((Double(bytes) / Double(1 << 30) * 100).rounded())
        let fraction = hundredths % 100
        return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) GiB"
    }
}
