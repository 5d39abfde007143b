/// Sizes past which a model is refused before anything is allocated for it: far above every real one, far below
/// what overflows.
enum ModelLimits {
    static let layers = 1...1024
    static let width = 1...(1 << 20)
    static let heads = 1...4096
    static let headDimension = 1...4096
    static let vocabulary = 1...(1 << 24)
    static let positions = 1...(1 << 28)
    static let patch = 1...256
    static let image = 1...(1 << 14)
    static let epsilon = 1e-15...0.1
    static let theta = 1.0...1e15
    static let scale = 1e-6...1e6
}
