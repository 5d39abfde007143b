import MartletTensor

// MARK: - Layers

extension CUDABackend {
    /// Decodes of one rank are filled up to the next of a few row counts; the second step of a shape is written down as
    /// a graph, which all that follow run.
    package func layers(
        _ batch: AttentionBatch, cache: KVCache, room: Int, _ body: (AttentionBatch) throws -> Void
    ) throws {
        guard capturesGraphs, rankCount == 1, let rows = Self.paddedRows(batch, room: room) else {
            return try body(batch)
        }
        let padded = Self.padded(batch, to: rows)
        let shape = try performThrowing {
            let staged = try batches.stage(padded, for: cache, by: staging)
            return DecodeGraphs.Shape(rows: rows, tableWidth: staged.tableWidth, generation: scratch.generation)
        }
        if try performThrowing({ try cache.decodes.launch(shape) }) { return }
        guard cache.decodes.isKnown(shape) else { return try body(padded) }
        let graph = try DeviceGraph(on: stream) {
            try body(padded)
            // What an operation of the body could not do.
            try performThrowing {}
        }
        cache.decodes.keep(graph, for: shape)
        _ = try performThrowing { try cache.decodes.launch(shape) }
    }

    /// Rows of a step that has decodes alone, filled up; nil for others, and where there is no room.
    static func paddedRows(_ batch: AttentionBatch, room: Int) -> Int? {
        let rows = batch.rowCount
        guard rows > 0, batch.segments.allSatisfy({ $0.rows.count == 1 }) else { return nil }
        let grain = rows > 64 ? 16 : 8
        let padded = [1, 2, 4].first { $0 >= rows } ?? (rows + grain - 1) / grain * grain
        return padded <= room && padded <= 256 ? padded : nil
    }

    /// `batch` with rows behind it whose keys and values go where no sequence reads.
    static func padded(_ batch: AttentionBatch, to rows: Int) -> AttentionBatch {
        var padded = batch
        for row in batch.rowCount..<rows {
            padded.segments.append(AttentionBatch.Segment(rows: row..<row + 1, start: 0, blocks: [-1]))
        }
        return padded
    }
}
