import MartletTensor

/// Where the matrices of a model are cut for a number of tensor ranks (D9): attention at heads, the MLP and the
/// vocabulary at whole units. Heads divide evenly, so that every rank's attention takes as long; the rest may be uneven
/// by one unit. With more ranks than key/value heads, each of these is held by several.
struct TensorCut {
    /// The ranges of each rank, in order of rank.
    let queryHeads, keyValueHeads, intermediate, vocabulary: [Range<Int>]
    /// nil without a vision tower.
    let tower: Tower?

    struct Tower {
        let heads, inner, mergerInner: [Range<Int>]
    }

    /// Why there is no such cut.
    struct Obstacle: Error {
        let reason: String
        let isTower: Bool
    }

    /// Two panels of 16 rows are one quant block of 32 columns: where gate and up end, down goes on.
    fileprivate static let panelUnit = 32
    private static let vocabularyUnit = 16

    /// `tensors` and `storage` say which blocks a cut along columns has to respect.
    init(
        _ configuration: ModelConfiguration, tensors: [TensorInfo], storage: WeightStorage, over ranks: Int,
        towerMode: TowerMode
    ) throws(Obstacle) {
        func block(_ part: String) -> Int {
            let own = tensors.filter { $0.name.hasPrefix(TensorName.textPrefix) && $0.name.hasSuffix(part) }
            return ranks == 1 ? 1 : Self.blockElements(of: own, storage)
        }
        let decoder = configuration.decoder, heads = decoder.heads
        let isShared = heads.keyValueCount % ranks == 0 || ranks % heads.keyValueCount == 0
        guard heads.queryCount % ranks == 0, isShared else {
            throw Obstacle(
                reason: "its \(heads.queryCount) query and \(heads.keyValueCount) key/value heads cannot be shared out"
                    + " evenly over \(ranks) ranks", isTower: false)
        }
        queryHeads = Self.cut(heads.queryCount, at: 1, over: ranks)
        keyValueHeads = (0..<ranks).map { rank in
            let first = rank * heads.keyValueCount / ranks
            return first..<(first + max(1, heads.keyValueCount / ranks))
        }
        let columns = heads.queryCount / ranks * heads.dimension
        guard columns % block("self_attn.o_proj.weight") == 0 else {
            throw Obstacle(
                reason: "the \(columns) columns of o_proj that a rank holds are not whole blocks of"
                    + " \(block("self_attn.o_proj.weight"))", isTower: false)
        }
        intermediate = Self.cut(
            decoder.intermediateSize, at: max(Self.panelUnit, block("mlp.down_proj.weight")), over: ranks)
        vocabulary = Self.vocabulary(decoder, over: ranks)
        guard (intermediate + vocabulary).allSatisfy({ !$0.isEmpty }) else {
            throw Obstacle(reason: "its MLP or vocabulary is too small for \(ranks) ranks", isTower: false)
        }
        tower = try configuration.vision.map { vision throws(Obstacle) in
            try Tower(vision, tensors: tensors, storage: storage, over: towerMode == .data ? 1 : ranks, ranks: ranks)
        }
    }

    /// The rows of embedding and head of each rank.
    static func vocabulary(_ decoder: DecoderConfiguration, over ranks: Int) -> [Range<Int>] {
        cut(decoder.vocabularyRows, at: vocabularyUnit, over: ranks)
    }

    /// `count` things in `ranks` ranges that begin at whole units; where units do not divide, the first ranks have one
    /// more. Ranges are empty where there are fewer units than ranks.
    static func cut(_ count: Int, at unit: Int, over ranks: Int) -> [Range<Int>] {
        let units = (count + unit - 1) / unit
        let small = units / ranks, large = units % ranks
        return (0..<ranks).map { rank in
            let start = rank * small + min(rank, large)
            let end = start + small + (rank < large ? 1 : 0)
            return min(count, start * unit)..<min(count, end * unit)
        }
    }

    /// The largest block along the columns of `tensors`. A type whose blocks a row does not fill stands for one of 32
    /// (MODEL.md 8.4).
    fileprivate static func blockElements(of tensors: [TensorInfo], _ storage: WeightStorage) -> Int {
        tensors.map { info in
            let elements = storage.type(of: info).blockElements
            return info.columns % elements == 0 ? elements : DType.q8_0.blockElements
        }.max() ?? 1
    }
}

extension TensorCut.Tower {
    /// `count` ranks share it; all of `ranks` hold it whole where that is 1.
    fileprivate init(
        _ vision: VisionConfiguration, tensors: [TensorInfo], storage: WeightStorage, over count: Int, ranks: Int
    ) throws(TensorCut.Obstacle) {
        func block(_ part: String) -> Int {
            let own = tensors.filter { $0.name.hasPrefix(TensorName.visionPrefix) && $0.name.hasSuffix(part) }
            return count == 1 ? 1 : TensorCut.blockElements(of: own, storage)
        }
        func all(_ ranges: [Range<Int>]) -> [Range<Int>] { (0..<ranks).map { ranges[$0 % count] } }
        let columns = vision.headCount / count * vision.headDimension
        guard vision.headCount % count == 0, columns % block("attn.proj.weight") == 0 else {
            throw TensorCut.Obstacle(
                reason: "the \(vision.headCount) heads of its vision tower cannot be shared out evenly over \(count)"
                    + " ranks (--mm-encoder-tp-mode data gives each the whole tower)", isTower: true)
        }
        heads = all(TensorCut.cut(vision.headCount, at: 1, over: count))
        inner = all(
            TensorCut.cut(
                vision.blockIntermediateSize, at: max(TensorCut.panelUnit, block("mlp.down_proj.weight")), over: count))
        mergerInner = all(
            TensorCut.cut(
                vision.mergerIntermediateSize, at: max(TensorCut.panelUnit, block("merger.down_proj.weight")),
                over: count))
        guard (inner + mergerInner).allSatisfy({ !$0.isEmpty }) else {
            throw TensorCut.Obstacle(
                reason: "its vision tower is too small for \(count) ranks (--mm-encoder-tp-mode data gives each the"
                    + " whole tower)", isTower: true)
        }
    }
}
