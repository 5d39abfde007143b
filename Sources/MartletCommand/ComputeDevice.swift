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
