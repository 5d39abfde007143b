/// Heads of an attention layer, as they lie in a fused projection row: [query heads | key heads | value heads],
/// each `dimension` wide. Query head i reads key/value head `i / (queryCount / keyValueCount)`.
package struct AttentionHeads: Sendable, Equatable {
    package let queryCount: Int
    package let keyValueCount: Int
    package let dimension: Int

    package init(queryCount: Int, keyValueCount: Int, dimension: Int) {
        self.queryCount = queryCount
        self.keyValueCount = keyValueCount
        self.dimension = dimension
    }

    package var queryWidth: Int { queryCount * dimension }
    package var keyValueWidth: Int { keyValueCount * dimension }
    /// Width of a fused q, k, v row.
    package var fusedWidth: Int { queryWidth + 2 * keyValueWidth }
}

/// Where each row of a step lies in the paged KV cache. Rows of one sequence are consecutive, their positions
/// ascending by one; a row attends to positions 0 through its own of its sequence.
package struct AttentionBatch: Sendable, Equatable {
    package struct Segment: Sendable, Equatable {
        /// Rows of the step that belong to this sequence.
        package var rows: Range<Int>
        /// Cache position of the first of them.
        package var start: Int
        /// Block ids of the sequence in order; position p lies in block `p / blockSize`, slot `p % blockSize`.
        package var blocks: [Int32]

        package init(rows: Range<Int>, start: Int, blocks: [Int32]) {
            self.rows = rows
            self.start = start
            self.blocks = blocks
        }
    }

    package var segments: [Segment]

    package init(segments: [Segment]) { self.segments = segments }
    package var rowCount: Int { segments.last?.rows.upperBound ?? 0 }
}
