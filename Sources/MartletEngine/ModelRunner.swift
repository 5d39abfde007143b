import MartletCore

/// A model on its devices, seen by the engine: token ids in, token ids out (D1). Called on the engine's thread
/// only. Every rank holds a runner and executes the same plans.
package protocol ModelRunner: AnyObject {
    var limits: RunnerLimits { get }
    /// What a step will take; the scheduler fills steps to a time (D4).
    var costModel: CostModel { get }
    /// Ticked at every layer; polled for cancellation (D4).
    var progress: StepProgress { get }

    /// Vision units (equal pieces of resumable work) that encoding an image of this size takes.
    func visionUnitCount(of image: PreparedImage) -> Int
    /// Hands over pixels that later plans name by `id`. The plan that ends its use releases it.
    func register(_ image: PreparedImage, as id: ImageID) throws
    /// Starts a step. Plans are executed in order. After a throw, here or from `collect`, the plan may have been
    /// applied or not: later plans release its slots and images, again if need be, so releasing what is not there
    /// is no error, and an admission replaces what a slot still holds. `RunnerLost` says that there is no later.
    func launch(_ plan: StepPlan) throws -> StepTicket
    /// Waits for the step and gives its tokens. Tickets are collected in the order of their launch.
    func collect(_ ticket: StepTicket) throws -> StepResult
}

package struct StepTicket: Sendable, Equatable {
    package let index: UInt64
    package init(index: UInt64) { self.index = index }
}

/// What the runner's memory and model allow.
package struct RunnerLimits: Sendable, Equatable {
    /// Positions of a KV block.
    package var blockSize: Int
    /// Blocks there are; ids 0 ..< blockCount.
    package var blockCount: Int
    /// Sequences that can be resident at once; slots 0 ..< slotCount.
    package var slotCount: Int
    /// Longest prompt + output.
    package var maxModelLength: Int
    /// Rows of the vocabulary that may be chosen.
    package var vocabularyCount: Int
    /// Steps that may be in flight (D3): 1 on a CPU, 2 on a GPU, the stages of a pipeline.
    package var depth: Int
    /// Stages that a step passes one after the other. In a pipeline (more than 1) the first stage learns a step's
    /// tokens when the step is collected, and not before: a sequence that waits for one is in no other step.
    package var stageCount: Int
    /// Tokens of encoded images that may be resident at once.
    package var encoderCacheTokens: Int
    /// Tokens of the largest image.
    package var maxImageTokens: Int
    /// Images that may be half encoded at once: each has working memory of its own.
    package var encodingCount: Int

    package init(
        blockSize: Int, blockCount: Int, slotCount: Int, maxModelLength: Int, vocabularyCount: Int, depth: Int = 1,
        stageCount: Int = 1, encoderCacheTokens: Int, maxImageTokens: Int? = nil, encodingCount: Int = 1
    ) {
        self.blockSize = blockSize
        self.blockCount = blockCount
        self.slotCount = slotCount
        self.maxModelLength = maxModelLength
        self.vocabularyCount = vocabularyCount
        self.depth = depth
        self.stageCount = stageCount
        self.encoderCacheTokens = encoderCacheTokens
        self.maxImageTokens = maxImageTokens ?? encoderCacheTokens
        self.encodingCount = encodingCount
    }
}

/// Seconds that work is expected to take from launch to result; linear, fitted at warm-up. In a pipeline that is the
/// way through all stages, each of which is busy with a step for its part of the time.
package struct CostModel: Sendable, Equatable {
    package var step: Double
    package var row: Double
    /// One row attending to one position of context.
    package var pair: Double
    package var visionUnit: Double

    package init(step: Double, row: Double, pair: Double, visionUnit: Double) {
        self.step = step
        self.row = row
        self.pair = pair
        self.visionUnit = visionUnit
    }

    /// Of rows of one sequence from `position` on, beside `step`. Row i attends to position + i + 1 positions.
    package func seconds(rows: Int, from position: Int) -> Double {
        let rows = Double(rows)
        return row * rows + pair * (rows * Double(position) + rows * (rows + 1) / 2)
    }
}
