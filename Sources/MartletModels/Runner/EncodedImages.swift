import MartletCore
import MartletEngine
import MartletTensor

/// The pictures of a runner, from their pixels to the rows that stand in for their tokens. Every rank keeps the same
/// books of them, whatever its part in the work: tensor ranks may encode for one another, and stages behind the first
/// have no tower and get pictures in the rows that come to them.
struct EncodedImages<B: Backend> {
    private struct Entry {
        let tokenCount: Int
        let unitCount: Int
        var doneUnits = 0
        /// Until they are encoded, where they are.
        var pixels: PreparedImage?
        var encoding: VisionEncoding<B>?
        var embeddings: Activation<B.Storage>?
    }

    private let backend: B
    private let tower: VisionTower<B>?
    /// nil for a model that does not see.
    let vision: VisionConfiguration?
    private var entries: [ImageID: Entry] = [:]

    init(backend: B, tower: VisionTower<B>?, vision: VisionConfiguration?) {
        self.backend = backend
        self.tower = tower
        self.vision = vision
    }

    func unitCount(of image: PreparedImage) -> Int { vision?.unitCount(of: image) ?? 0 }

    mutating func register(_ image: PreparedImage, as id: ImageID) throws(RunnerError) {
        guard vision != nil else { throw .notMultimodal }
        entries[id] = Entry(
            tokenCount: image.tokenCount, unitCount: unitCount(of: image), pixels: tower == nil ? nil : image)
    }

    /// Notes what a plan is to encode. Throws, on every rank or on none, where that does not go on from what is done.
    mutating func plan(_ work: [VisionWork]) throws(RunnerError) {
        for work in work {
            guard let entry = entries[work.image], entry.doneUnits < entry.unitCount else { throw .unknownImage }
            guard work.units.lowerBound == entry.doneUnits, work.units.upperBound <= entry.unitCount
            else { throw .outOfOrder }
            entries[work.image]?.doneUnits = work.units.upperBound
        }
    }

    /// Whether all of a picture is planned, so that rows can be taken from it once that is done.
    func isPlanned(_ id: ImageID) -> Bool { entries[id].map { $0.doneUnits == $0.unitCount } ?? false }

    /// This rank's part of planned work.
    mutating func encode(_ work: VisionWork, _ progress: StepProgress) throws {
        guard let tower, var entry = entries[work.image], !isShared || owner(of: work.image) == backend.rank
        else { return }
        guard let encoding = try entry.encoding ?? entry.pixels.map(tower.begin) else { return }
        for unit in work.units {
            try progress.forward { try tower.run(unit: unit, of: encoding) }
            try progress.tickUnlessCancelled()
        }
        let isDone = work.units.upperBound == entry.unitCount
        entry.encoding = isDone ? nil : encoding
        entry.embeddings = isDone ? encoding.embeddings : nil
        entries[work.image] = entry
    }

    /// A picture is encoded: its pixels go, and every tensor rank gets its embeddings. After the work of all pictures,
    /// so that their owners work side by side.
    mutating func share(_ work: VisionWork) throws {
        guard let tower, let entry = entries[work.image], work.units.upperBound == entry.unitCount else { return }
        entries[work.image]?.pixels = nil
        guard isShared else { return }
        let shared =
            try entry.embeddings
            ?? backend.makeActivation(rows: entry.tokenCount, width: tower.configuration.outputSize)
        try backend.broadcast(shared, from: owner(of: work.image))
        entries[work.image]?.embeddings = shared
    }

    /// nil where another stage has them.
    func embeddings(of id: ImageID) -> Activation<B.Storage>? { entries[id]?.embeddings }

    mutating func release(_ id: ImageID) { entries[id] = nil }

    /// Whether ranks encode pictures for one another.
    private var isShared: Bool { backend.rankCount > 1 && tower?.isWhole == true }

    private func owner(of image: ImageID) -> Int { Int(image % ImageID(backend.rankCount)) }
}
