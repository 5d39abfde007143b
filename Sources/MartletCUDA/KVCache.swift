import CCUDA
import MartletCPU
import MartletTensor

extension CUDABackend {
    /// Keys and values of every layer in blocks: of each layer keys, then values, [block][head][slot][dimension]; of a
    /// cache of q8_0, signed bytes, behind them the scales of its keys and of its values, [block][head][slot] in f32.
    /// Before a layer's block 0 lies one that rows of no sequence write to: block -1.
    package final class KVCache {
        package let heads: AttentionHeads
        package let layers: Int
        package let blockCount: Int
        package let blockSize: Int
        package let dtype: DType
        private let memory: DeviceBuffer
        private let layout: Layout
        /// Steps of decodes over this cache, written down.
        let decodes = DecodeGraphs()

        /// Of all layers and blocks.
        package var byteCount: Int { memory.byteCount }

        init(
            layers: Int, heads: AttentionHeads, blockCount: Int, blockSize: Int, dtype: DType, on stream: DeviceStream
        ) throws(CUDAError) {
            precondition(!dtype.isQuantized || dtype == .q8_0, "a cache is f32, f16, bf16 or q8_0")
            precondition(layers > 0 && blockCount >= 0 && blockSize > 0, "an empty cache")
            (self.heads, self.layers, self.blockCount) = (heads, layers, blockCount)
            (self.blockSize, self.dtype) = (blockSize, dtype)
            layout = Layout(heads: heads, blockCount: blockCount, blockSize: blockSize, dtype: dtype)
            memory = try DeviceBuffer(
                layers * layout.layerBytes, for: .cache(blockBytes: layers * layout.blockBytes), on: stream)
        }

        /// Element 0 of block 0.
        func keys(_ layer: Int) -> CUdeviceptr { address(layer, layout.plainBlockBytes) }
        func values(_ layer: Int) -> CUdeviceptr { address(layer, layout.planeBytes + layout.plainBlockBytes) }

        /// 0 for plain types.
        func keyScales(_ layer: Int) -> CUdeviceptr {
            dtype.isQuantized ? address(layer, 2 * layout.planeBytes + layout.scaleBlockBytes) : 0
        }
        func valueScales(_ layer: Int) -> CUdeviceptr {
            dtype.isQuantized
                ? address(layer, 2 * layout.planeBytes + layout.scalePlaneBytes + layout.scaleBlockBytes) : 0
        }

        private func address(_ layer: Int, _ offset: Int) -> CUdeviceptr {
            memory.address + UInt64(layer * layout.layerBytes + offset)
        }

        /// Traps unless the cache has this layer of these heads.
        func check(heads: AttentionHeads, layer: Int) {
            precondition(heads == self.heads, "a cache of other heads")
            precondition((0..<layers).contains(layer), "layer \(layer) of \(layers)")
        }

        /// Traps unless every row of `batch` has a place.
        func check(_ batch: AttentionBatch) {
            for segment in batch.segments {
                let positions = segment.start + segment.rows.count, slots = segment.blocks.count * blockSize
                precondition(segment.start >= 0 && positions <= slots, "a row without a slot")
                precondition(segment.blocks.allSatisfy { (-1..<blockCount).contains(Int($0)) }, "no such block")
            }
        }
    }

    package func makeKVCache(
        layers: Int, heads: AttentionHeads, blockCount: Int, blockSize: Int, dtype: DType
    ) throws -> KVCache {
        let blockBytes = Self.cacheBlockBytes(layers: layers, heads: heads, blockSize: blockSize, dtype: dtype)
        guard blockCount < Int.max / max(2 * blockBytes, 1) else { throw MemoryError(byteCount: .max) }
        return try performThrowing {
            try KVCache(
                layers: layers, heads: heads, blockCount: blockCount, blockSize: blockSize, dtype: dtype, on: stream)
        }
    }

    /// Bytes that a cache takes for every block that it has more, over all layers.
    package static func cacheBlockBytes(layers: Int, heads: AttentionHeads, blockSize: Int, dtype: DType) -> Int {
        layers * Layout(heads: heads, blockCount: 0, blockSize: blockSize, dtype: dtype).blockBytes
    }

    /// Where things lie in one layer of a cache, in bytes.
    private struct Layout {
        /// Keys, or values, of a block; and their scales.
        let plainBlockBytes, scaleBlockBytes: Int
        /// Keys, or values, of all blocks and one before them; and their scales.
        let planeBytes, scalePlaneBytes: Int

        init(heads: AttentionHeads, blockCount: Int, blockSize: Int, dtype: DType) {
            let slots = heads.keyValueCount * blockSize
            plainBlockBytes = slots * heads.dimension * (dtype.isQuantized ? 1 : dtype.blockBytes)
            scaleBlockBytes = dtype.isQuantized ? slots * MemoryLayout<Float>.stride : 0
            planeBytes = Self.aligned((blockCount + 1) * plainBlockBytes)
            scalePlaneBytes = Self.aligned((blockCount + 1) * scaleBlockBytes)
        }

        var layerBytes: Int { 2 * (planeBytes + scalePlaneBytes) }
        var blockBytes: Int { 2 * (plainBlockBytes + scaleBlockBytes) }

        private static func aligned(_ bytes: Int) -> Int { (bytes + 255) / 256 * 256 }
    }
}
