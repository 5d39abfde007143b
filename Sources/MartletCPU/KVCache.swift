import MartletParallel
import MartletTensor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension CPUBackend {
    /// Keys and values of every layer in blocks: [layer][block][keys, values][head]. Keys of a head lie transposed
    /// in their block, [dimension][slot], so that scores of neighbouring positions are one vector; values lie
    /// [slot][dimension]. A cache of q8_0 holds signed bytes, and behind a block's values the scales of its keys and
    /// of its values, [keys, values][head][slot] in f32. What a slot holds before it is stored is undefined.
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
        private let scaleOffset: Int
        /// From one block of a layer to the next.
        let blockBytes: Int
        /// Of all layers and blocks.
        package var byteCount: Int { memory.byteCount }

        init(
            layers: Int, heads: AttentionHeads, blockCount: Int, blockSize: Int, dtype: DType
        ) throws(MemoryError) {
            precondition(!dtype.isQuantized || dtype == .q8_0, "a cache is f32, f16, bf16 or q8_0")
            precondition(layers > 0 && blockCount >= 0 && blockSize > 0, "an empty cache")
            (self.heads, self.layers, self.blockCount) = (heads, layers, blockCount)
            (self.blockSize, self.dtype) = (blockSize, dtype)
            elementBytes = dtype.isQuantized ? 1 : dtype.blockBytes
            headBytes = blockSize * heads.dimension * elementBytes
            // Where the scales begin, aligned to theirs.
            scaleOffset = (2 * heads.keyValueCount * headBytes + 3) / 4 * 4
            let scaleCount = dtype.isQuantized ? 2 * heads.keyValueCount * blockSize : 0
            blockBytes = scaleOffset + scaleCount * MemoryLayout<Float>.stride
            let (blocks, tooMany) = layers.multipliedReportingOverflow(by: blockCount)
            let (bytes, tooLarge) = blocks.multipliedReportingOverflow(by: blockBytes)
            guard !tooMany, !tooLarge else { throw MemoryError(byteCount: .max) }
            memory = try HugeMemory(byteCount: bytes)
        }

        /// Of the first blocks of all layers together, those that `makeResident` is for.
        private static var readyBytes: Int { 128 << 20 }

        /// Makes the first blocks resident, on a thread of its own that ends with it: a first burst of requests would
        /// wait for the system's clearing of pages, and so would the start.
        fileprivate func makeResident() {
            if let thread = startThread(name: "martlet-cache", populate) { pthread_detach(thread) }
        }

        private func populate() {
            let ready = min(blockCount, Self.readyBytes / (layers * blockBytes))
            for layer in 0..<layers where ready > 0 {
                let first = layer * blockCount * blockBytes
                memory.populate(first..<first + ready * blockBytes)
            }
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

        /// The scale of the key at a slot; those of other slots are adjacent. nil for plain types.
        func keyScale(layer: Int, block: Int, head: Int, slot: Int) -> UnsafeMutablePointer<Float>? {
            guard dtype.isQuantized else { return nil }
            let scales = memory.start + (layer * blockCount + block) * blockBytes + scaleOffset
            return scales.assumingMemoryBound(to: Float.self) + head * blockSize + slot
        }

        /// The same of the value.
        func valueScale(layer: Int, block: Int, head: Int, slot: Int) -> UnsafeMutablePointer<Float>? {
            keyScale(layer: layer, block: block, head: heads.keyValueCount + head, slot: slot)
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
        let cache = try KVCache(
            layers: layers, heads: heads, blockCount: blockCount, blockSize: blockSize, dtype: dtype)
        cache.makeResident()
        return cache
    }
}
