/// Where a model computes.
enum ComputeDevice: String, CaseIterable, Sendable {
    case cpu
    case cuda

    /// What `--device` asks for.
    enum Choice: String, CaseIterable, Sendable {
        /// A GPU, if there is one that will do; else the CPU.
        case auto
        case cpu
        case cuda
    }
}

/// Limits that suit a device, where nobody gives others.
extension ComputeDevice {
    /// Tokens of a step.
    var usualRows: Int { self == .cpu ? 512 : 2048 }
    /// Sequences that run at once.
    var usualSequences: Int { self == .cpu ? 16 : 64 }
    /// What a step with prefill may take.
    var usualStepSeconds: Double { self == .cpu ? 1 : 0.05 }
}
