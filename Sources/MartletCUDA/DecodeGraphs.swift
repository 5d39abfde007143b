/// Steps of decodes that were written down, by shape. Everything that varies from step to step lies in staged memory
/// (D13), so that a step of the same shape is the same work.
final class DecodeGraphs {
    struct Shape: Hashable {
        let rows: Int
        let tableWidth: Int
        /// Of working memory, whose addresses are written down.
        let generation: Int
    }

    private static let limit = 64
    private var graphs: [Shape: DeviceGraph] = [:]
    private var met: Set<Shape> = []
    /// What could not be written down.
    private var refused: Set<Shape> = []

    /// Whether a step of this shape is to be written down: the first one has working memory made, the second is.
    func isKnown(_ shape: Shape) -> Bool { !met.insert(shape).inserted && !refused.contains(shape) }

    /// Steps of this shape are run as they are.
    func refuse(_ shape: Shape) { refused.insert(shape) }

    /// Runs a step that was written down; false if there is none.
    func launch(_ shape: Shape) throws(CUDAError) -> Bool {
        guard let graph = graphs[shape] else { return false }
        try graph.launch()
        return true
    }

    func keep(_ graph: DeviceGraph, for shape: Shape) {
        // Those of another generation are of no use any more: when there are many, some of them are.
        if graphs.count >= Self.limit { graphs = [:] }
        graphs[shape] = graph
    }
}
