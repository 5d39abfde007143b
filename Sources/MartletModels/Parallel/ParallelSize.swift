/// How many ranks share a model, and how: what the parallel flags say.
package struct ParallelSize: Sendable, Equatable {
    /// Ranks that share every layer (`--tensor-parallel-size`).
    package var tensor: Int
    /// Stages that share the stack of layers (`--pipeline-parallel-size`).
    package var pipeline: Int
    /// Whole copies of the model (`--data-parallel-size`).
    package var data: Int
    /// Layers of each stage (`--pipeline-layer-partition`); nil = balanced.
    package var layerPartition: [Int]?
    package var towerMode: TowerMode

    package init(
        tensor: Int = 1, pipeline: Int = 1, data: Int = 1, layerPartition: [Int]? = nil,
        towerMode: TowerMode = .weights
    ) {
        self.tensor = tensor
        self.pipeline = pipeline
        self.data = data
        self.layerPartition = layerPartition
        self.towerMode = towerMode
    }

    /// Ranks of one copy.
    package var ranksPerReplica: Int { tensor * pipeline }
    package var rankCount: Int { ranksPerReplica * data }
}

/// How the tensor ranks of the first stage share the vision tower (`--mm-encoder-tp-mode`).
package enum TowerMode: String, Sendable, CaseIterable {
    /// Each holds a share of its heads and of its MLPs.
    case weights
    /// Each holds all of it, and encodes other pictures.
    case data
}
