import MartletEngine
import MartletParallel

/// A rank's way to the ranks at its tensor place on the other stages of a pipeline: rows go from stage to stage, and
/// what the last one sampled goes to all before it.
///
/// Nobody waits in a circle. A step is at most one message of rows between two neighbours and one result (in two
/// messages) to each stage before the last, and as many steps as there are stages are between launch and collect: with
/// room for these, no `send` waits. A `receive` waits for a step launched before, or for the same step on a stage
/// before; every rank comes to its work in the order of the steps, so the first step that is not done is always at
/// work.
package struct StageLink {
    package let stageCount: Int
    private let stage: Int
    private let place: Int
    private let tensorSize: Int
    private let communicator: any Communicator

    /// Messages between two ranks that are to have room.
    package static func messageLimit(stageCount: Int) -> Int { 2 * stageCount }

    /// The only stage there is.
    package init() {
        stageCount = 1
        stage = 0
        place = 0
        tensorSize = 1
        communicator = SoleCommunicator()
    }

    /// `communicator`: of all ranks of the copy that `shard` is of.
    package init(_ shard: Shard, communicator: any Communicator) {
        precondition(communicator.rank == shard.rank, "rank \(communicator.rank) has the shard of \(shard.rank)")
        stageCount = communicator.size / shard.tensorSize
        stage = shard.stage
        place = shard.tensorRank
        tensorSize = shard.tensorSize
        self.communicator = communicator
    }

    private func rank(ofStage stage: Int) -> Int { stage * tensorSize + place }

    /// To the next stage, which is to receive as many.
    package func sendRows(_ values: [Float]) throws {
        try values.withUnsafeBytes { try communicator.send($0, to: rank(ofStage: stage + 1)) }
    }

    /// `count` values of the stage before.
    package func receiveRows(_ count: Int) throws -> [Float] {
        try [Float](unsafeUninitializedCapacity: count) { buffer, filled in
            let values = UnsafeMutableBufferPointer(rebasing: buffer[0..<count])
            try communicator.receive(UnsafeMutableRawBufferPointer(values), from: rank(ofStage: stage - 1))
            filled = count
        }
    }

    /// From the last stage to every other.
    package func tell(_ result: StepResult) throws {
        let bytes = try result.encoded()
        let count = UInt64(bytes.count).littleEndian
        for stage in 0..<stageCount - 1 {
            try withUnsafeBytes(of: count) { try communicator.send($0, to: rank(ofStage: stage)) }
            try bytes.withUnsafeBytes { try communicator.send($0, to: rank(ofStage: stage)) }
        }
    }

    /// The next result of the last stage. Throws `PlanCodingError` where it is none.
    package func hearResult() throws -> StepResult {
        let last = rank(ofStage: stageCount - 1)
        var count: UInt64 = 0
        try withUnsafeMutableBytes(of: &count) { try communicator.receive($0, from: last) }
        guard let count = Int(exactly: UInt64(littleEndian: count)), count <= StepResult.maximumByteCount else {
            throw CommunicatorError(reason: "rank \(last) tells of a result of \(count) bytes")
        }
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withUnsafeMutableBytes { try communicator.receive($0, from: last) }
        return try StepResult(decoding: bytes)
    }
}
