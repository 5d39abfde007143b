import MartletTensor

extension CPUBackend {
    /// Keys and values of every layer in blocks: [layer][block][keys, values][head]. Keys of a head lie transposed
    /// in their block, [dimension][slot], so that scores of neighbouring positions are one vector; values lie
    /// [slot][dimension]. What a slot holds before it is stored is undefined.
    package final class KVCache {
        package let heads: AttentionHeads
        package let layers: Int
        package let blockCount: Int
        package let blockSize: Int
        package let dtype: DType
        private let memory: HugeMemory
        private let elementBytes: Int
        /// Of the keys, or of the values, of one head in one block.
        private let headBytes: Int
        /// From one block of a layer to the next.
        let blockBytes: Int

        init(
            layers: Int, heads: AttentionHeads, blockCount: Int, blockSize: Int, dtype: DType
        ) throws(MemoryError) {
            precondition(!dtype.isQuantized, "the cache of this backend is f32, f16 or bf16")
            precondition(layers > 0 && blockCount >= 0 && blockSize > 0, "an empty cache")
            (self.heads, self.layers, self.blockCount) = (heads, layers, blockCount)
            (self.blockSize, self.dtype) = (blockSize, dtype)
            elementBytes = dtype.blockBytes
            headBytes = blockSize * heads.dimension * elementBytes
            blockBytes = 2 * heads.keyValueCount * headBytes
            let (blocks, tooMany) = layers.multipliedReportingOverflow(by: blockCount)
            let (bytes, tooLarge) = blocks.multipliedReportingOverflow(by: blockBytes)
            guard !tooMany, !tooLarge else { throw MemoryError(byteCount: .max) }
            memory = try HugeMemory(byteCount: bytes)
        }

        /// Dimension 0 of the key at a slot; dimensions are `blockSize` elements apart.
        func key(layer: Int, block: Int, head: Int, slot: Int) -> UnsafeMutableRawPointer {
            keys(layer: layer, block: block, head: head) + slot * elementBytes
        }

        /// Dimension 0 of the value at a slot; dimensions are adjacent.
        func value(layer: Int, block: Int, head: Int, slot: Int) -> UnsafeMutableRawPointer {
            keys(layer: layer, block: block, head: heads.keyValueCount + head)
                + slot * heads.dimension * elementBytes
        }

        private func keys(layer: Int, block: Int, head: Int) -> UnsafeMutableRawPointer {
            memory.start + (layer * blockCount + block) * blockBytes + head * headBytes
        }

        /// Traps unless every row of `batch` has a place in this cache.
        func check(heads: AttentionHeads, layer: Int, batch: AttentionBatch) {
            precondition(
                heads.keyValueCount == self.heads.keyValueCount && heads.dimension == self.heads.dimension,
                "a cache of other heads")
            precondition((0..<layers).contains(layer), "layer \(layer) of \(layers)")
            for segment in batch.segments {
                let positions = segment.start + segment.rows.count
                let slots = segment.blocks.count * blockSize
                precondition(segment.start >= 0 && positions <= slots, "a row without a slot")
                precondition(segment.blocks.allSatisfy { (0..<blockCount).contains(Int($0)) }, "no such block")
            }
        }
    }

    package func makeKVCache(
        layers: Int, heads: AttentionHeads, blockCount: Int, blockSize: Int, dtype: DType
    ) throws -> KVCache {
        try KVCache(layers: layers, heads: heads, blockCount: blockCount, blockSize: blockSize, dtype: dtype)
    }
}
