import MartletCore

/// A resident sequence's place in the runner's per-sequence state.
package typealias Slot = Int32
/// A run of `blockSize` positions of the KV cache; the same slot of memory on every rank and stage.
package typealias BlockID = Int32
/// An image whose pixels the runner has; unique for the life of the engine.
package typealias ImageID = UInt64

/// One step for every rank: deltas against per-slot state that each rank mirrors (D2). A flat, versioned,
/// length-capped little-endian value; `StepPlan+Coding.swift` has the bytes.
///
/// A runner applies it in this order: releases, admissions, block appends, vision work, then the rows (chunks and
/// decodes together as one batch), then image releases.
package struct StepPlan: Sendable, Equatable {
    package var index: UInt64
    /// Slots whose sequences are gone; a slot may be admitted again in the same plan.
    package var releases: [Slot] = []
    package var admissions: [SlotAdmission] = []
    package var blockAppends: [BlockAppend] = []
    package var visionWork: [VisionWork] = []
    package var chunks: [PrefillChunk] = []
    package var decodes: [SlotDecode] = []
    /// Images no later plan names: pixels and embeddings may go.
    package var imageReleases: [ImageID] = []

    package init(index: UInt64) { self.index = index }

    /// Rows of the batch.
    package var rowCount: Int {
        chunks.reduce(0) { $0 + $1.range.count } + decodes.reduce(0) { $0 + 1 + $1.guesses.count }
    }
}

/// A sequence enters a slot, with what sampling and M-RoPE need for its whole life.
package struct SlotAdmission: Sendable, Equatable {
    package var slot: Slot
    /// The prompt, then what was generated before a preemption. Chunks name ranges of this.
    package var tokens: [TokenID]
    /// How many of `tokens` are prompt.
    package var promptCount: Int
    /// Positions whose KV is in the cache already (whole blocks of a prefix hit).
    package var cachedCount: Int
    /// An image that lies wholly within the cached positions may be unknown to the runner: no row asks for it.
    package var images: [ImageSpan]
    package var sampling: SamplingParameters
    /// Never nil here: drawn by the engine if the request gave none.
    package var seed: UInt64
    /// Which of the request's n choices this is.
    package var choice: UInt32
    /// Stop tokens of model and request: masked while fewer than `sampling.minTokens` were generated.
    package var stopTokens: [TokenID]

    package init(
        slot: Slot, tokens: [TokenID], promptCount: Int, cachedCount: Int, images: [ImageSpan],
        sampling: SamplingParameters, seed: UInt64, choice: UInt32, stopTokens: [TokenID]
    ) {
        self.slot = slot
        self.tokens = tokens
        self.promptCount = promptCount
        self.cachedCount = cachedCount
        self.images = images
        self.sampling = sampling
        self.seed = seed
        self.choice = choice
        self.stopTokens = stopTokens
    }
}

/// `tokens[offset ..< offset + rows * columns]` of the sequence are the merged patches of image `id`.
package struct ImageSpan: Sendable, Equatable {
    package var id: ImageID
    package var offset: Int
    package var rows: Int
    package var columns: Int

    package init(id: ImageID, offset: Int, rows: Int, columns: Int) {
        self.id = id
        self.offset = offset
        self.rows = rows
        self.columns = columns
    }

    package var tokenRange: Range<Int> { offset..<(offset + rows * columns) }
}

/// Blocks added at the end of a slot's block table, the cached prefix's among them.
package struct BlockAppend: Sendable, Equatable {
    package var slot: Slot
    package var blocks: [BlockID]

    package init(slot: Slot, blocks: [BlockID]) {
        self.slot = slot
        self.blocks = blocks
    }
}

/// Units of an image's encoding, in order; after the last its embeddings are there.
package struct VisionWork: Sendable, Equatable {
    package var image: ImageID
    package var units: Range<Int>

    package init(image: ImageID, units: Range<Int>) {
        self.image = image
        self.units = units
    }
}

/// A piece of a prefill: `tokens[range]` of the slot's admission, at cache positions `range`.
package struct PrefillChunk: Sendable, Equatable {
    package var slot: Slot
    package var range: Range<Int>
    /// The range ends the sequence's tokens: its last row samples the next one.
    package var samples: Bool

    package init(slot: Slot, range: Range<Int>, samples: Bool) {
        self.slot = slot
        self.range = range
        self.samples = samples
    }
}

/// A slot decodes: input = its last token, position = its length so far. With guesses of what follows it is a chunk
/// of all of them, and each row is sampled as if the guesses before it were right.
package struct SlotDecode: Sendable, Equatable {
    package var slot: Slot
    package var guesses: [TokenID]

    package init(slot: Slot, guesses: [TokenID] = []) {
        self.slot = slot
        self.guesses = guesses
    }
}

/// What a step brought: one row for every sampling chunk and every decode, in plan order (chunks first).
package struct StepResult: Sendable, Equatable {
    package struct Row: Sendable, Equatable {
        package var slot: Slot
        /// 1 token, and before it the guesses that were right: those are kept, and what was computed behind them is
        /// void. Empty if the first row's logits were not numbers: the sequence fails. Steps that were launched before
        /// this was known still decode the slot; their rows are empty too.
        package var tokens: [SampledToken]

        package init(slot: Slot, tokens: [SampledToken]) {
            self.slot = slot
            self.tokens = tokens
        }
    }

    package var index: UInt64
    package var rows: [Row]

    package init(index: UInt64, rows: [Row]) {
        self.index = index
        self.rows = rows
    }
}
