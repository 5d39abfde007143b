import MartletTensor

// MARK: - Layers

extension CUDABackend {
    /// Decodes are filled up to the next of a few row counts; the second step of a shape is written down as a graph,
    /// which all that follow run; what cannot be written down is run as it is. Not where ranks exchange through the
    /// host, which no graph has.
    package func layers(
        _ batch: AttentionBatch, cache: KVCache, room: Int, _ body: (AttentionBatch) throws -> Void
    ) throws {
        guard capturesGraphs, runsWithoutHost, let rows = Self.paddedRows(batch, room: room) else {
            return try body(batch)
        }
        try scratch.whileWrittenDown { try decodes(Self.padded(batch, to: rows), cache: cache, body) }
    }

    private func decodes(
        _ batch: AttentionBatch, cache: KVCache, _ body: (AttentionBatch) throws -> Void
    ) throws {
        let shape = try performThrowing {
            let staged = try batches.stage(batch, for: cache, by: staging)
            return DecodeGraphs.Shape(
                rows: batch.rowCount, tableWidth: staged.tableWidth,
                generation: rankCount == 1 ? scratch.generation : ranks.moveCount)
        }
        if try performThrowing({ try cache.decodes.launch(shape) }) { return }
        guard cache.decodes.isKnown(shape) else {
            try body(batch)
            if rankCount > 1 { try performThrowing { try ranks.agree(onMovesTo: scratch.generation) } }
            return
        }
        do {
            let graph = try DeviceGraph(on: stream) {
                try body(batch)
                // What an operation of the body could not do.
                try performThrowing {}
            }
            cache.decodes.keep(graph, for: shape)
        } catch where rankCount == 1 && !(error is DeviceLost) {
            // Nothing of it has run, and it can be run as it is. Several ranks would have to agree on it.
            cache.decodes.refuse(shape)
            return try body(batch)
        }
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
