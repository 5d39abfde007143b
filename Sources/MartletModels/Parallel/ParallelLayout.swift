import MartletTensor

/// Which rank holds what of a model (D9): plans count with it, and ranks are to load by it. Ranks are numbered with the
/// tensor rank running fastest, then the stage, then the copy, so that those who talk most are neighbours.
package struct ParallelLayout: Sendable, Equatable {
    package let size: ParallelSize
    /// The layers of each stage.
    package let stages: [Range<Int>]
    /// Of one copy, in order of rank.
    package let shards: [Shard]

    /// Throws, naming the sizes that work, where the model cannot be cut so. `tensors`: the model's as its files have
    /// them (nil = as its configuration says), and `storage` what they become: cuts fall between whole quant blocks.
    package init(
        _ configuration: ModelConfiguration, tensors: [TensorInfo]? = nil, size: ParallelSize,
        storage: WeightStorage = WeightStorage()
    ) throws(ParallelError) {
        let tensors = tensors ?? configuration.tensors
        for (flag, count) in [
            ("--tensor-parallel-size", size.tensor), ("--pipeline-parallel-size", size.pipeline),
            ("--data-parallel-size", size.data),
        ] where !(1...1024).contains(count) {
            throw ParallelError(flag: flag, value: "\(count)", reason: "it is between 1 and 1024")
        }
        self.size = size
        stages = try LayerPartition.stages(configuration, tensors: tensors, size: size)
        func cut(_ ranks: Int) throws(TensorCut.Obstacle) -> TensorCut {
            try TensorCut(configuration, tensors: tensors, storage: storage, over: ranks, towerMode: size.towerMode)
        }
        let found: TensorCut
        do {
            found = try cut(size.tensor)
        } catch {
            let sizes = (1...min(1024, configuration.decoder.heads.queryCount)).filter { (try? cut($0)) != nil }
            throw ParallelError(
                flag: "--tensor-parallel-size", value: "\(size.tensor)", reason: error.reason, sizes: sizes)
        }
        var shards: [Shard] = []
        for (stage, layers) in stages.enumerated() {
            for rank in 0..<size.tensor {
                shards.append(
                    Shard(
                        configuration, cut: found, rank: rank, of: size.tensor, stage: stage, of: stages.count,
                        layers: layers))
            }
        }
        self.shards = shards
    }

    /// KV cache of one position on all ranks of a copy, in bytes: heads that several hold count for each.
    package func cacheBytesPerToken(_ dtype: DType) -> Int {
        shards.reduce(0) { $0 + $1.layers.count * $1.heads.cacheBytesPerToken(dtype) }
    }

    /// Of rank 0 ..< `size.rankCount`.
    package func shard(ofRank rank: Int) -> Shard { shards[rank % shards.count] }

    /// Which copy of the model rank `rank` belongs to.
    package func replica(ofRank rank: Int) -> Int { rank / shards.count }
}

extension Shard {
    fileprivate init(
        _ configuration: ModelConfiguration, cut: TensorCut, rank: Int, of tensorSize: Int, stage: Int,
        of stageCount: Int, layers: Range<Int>
    ) {
        let vision = stage == 0 ? configuration.vision : nil
        let tower = vision.flatMap { vision in
            cut.tower.map {
                TowerShard(
                    heads: $0.heads[rank], inner: $0.inner[rank], mergerInner: $0.mergerInner[rank], vision: vision)
            }
        }
        self.init(
            tensorRank: rank, tensorSize: tensorSize, stage: stage, layers: layers, isFirstStage: stage == 0,
            isLastStage: stage == stageCount - 1, queryHeads: cut.queryHeads[rank],
            keyValueHeads: cut.keyValueHeads[rank], intermediate: cut.intermediate[rank],
            vocabulary: cut.vocabulary[rank], tower: tower, decoder: configuration.decoder)
    }
}

/// The stack of layers in stages, each of which a batch passes in turn.
enum LayerPartition {
    /// As asked; else balanced by the products of a row, with half of the head's on the last stage, since rows of
    /// prompts do without: the slowest stage sets the pace of all, and under load arithmetic does, not the bytes read.
    /// (The embedding gives a row a token, and the tower works for pictures only.)
    static func stages(
        _ configuration: ModelConfiguration, tensors: [TensorInfo], size: ParallelSize
    ) throws(ParallelError) -> [Range<Int>] {
        let layerCount = configuration.decoder.layerCount
        if let counts = size.layerPartition {
            let text = counts.map { "\($0)" }.joined(separator: ",")
            func failure(_ reason: String) -> ParallelError {
                ParallelError(flag: "--pipeline-layer-partition", value: text, reason: reason)
            }
            guard counts.count == size.pipeline else {
                throw failure("it has \(counts.count) stages and --pipeline-parallel-size is \(size.pipeline)")
            }
            guard counts.allSatisfy({ (1...layerCount).contains($0) }) else {
                throw failure("every stage has a layer at least, and the model has \(layerCount)")
            }
            let sum = counts.reduce(0, +)
            guard sum == layerCount else { throw failure("it adds up to \(sum) of the model's \(layerCount) layers") }
            return ranges(counts)
        }
        guard size.pipeline <= layerCount else {
            throw ParallelError(
                flag: "--pipeline-parallel-size", value: "\(size.pipeline)",
                reason: "it has \(layerCount) layers", sizes: Array(1...layerCount))
        }
        return ranges(balanced(configuration, tensors: tensors, over: size.pipeline))
    }

    /// Layers are alike, so giving each to the stage with the least work so far is the best there is.
    private static func balanced(
        _ configuration: ModelConfiguration, tensors: [TensorInfo], over count: Int
    ) -> [Int] {
        let prefix = TensorName.textPrefix + "layers."
        let headName = configuration.decoder.hasTiedHead ? TensorName.embedding : TensorName.head
        func products(_ isCounted: (String) -> Bool) -> Double {
            tensors.reduce(0) { $0 + (isCounted($1.name) ? Double($1.elementCount) : 0) }
        }
        let layer = max(1, products { $0.hasPrefix(prefix) } / Double(configuration.decoder.layerCount))
        var work = [Double](repeating: layer, count: count)
        work[count - 1] += products { $0 == headName } / 2
        var counts = [Int](repeating: 1, count: count)
        for _ in count..<configuration.decoder.layerCount {
            let least = work.indices.min { work[$0] < work[$1] } ?? 0
            work[least] += layer
            counts[least] += 1
        }
        return counts
    }

    private static func ranges(_ counts: [Int]) -> [Range<Int>] {
        var start = 0
        return counts.map { count in
            defer { start += count }
            return start..<(start + count)
        }
    }
}
