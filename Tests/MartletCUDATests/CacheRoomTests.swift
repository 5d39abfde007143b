import MartletCUDA
import MartletTensor
import MartletTestSupport
import Testing

@Suite struct CacheRoomTests {
    @Test func whatOthersHoldCounts() {
        let room = CacheRoom(total: 24 << 30, free: 14 << 30, utilization: 0.9)
        #expect(room.cacheBytes == Int(Double(24 << 30) * 0.9) - 10 << 30 - CacheRoom.reserve)
        #expect(CacheRoom(total: 24 << 30, free: 2 << 30, utilization: 0.9).cacheBytes == 0)
        #expect(CacheRoom(total: 24 << 30, free: 24 << 30, utilization: 0).cacheBytes == 0)
    }

    /// As many blocks as are counted can be had, and what they take is what was counted.
    @Test func countedBlocksFit() throws {
        try EmulatedGPUs.run(memoryBytes: 512 << 20) { gpus in
            let gpu = try gpus.backend(.f16)
            let heads = AttentionHeads(queryCount: 4, keyValueCount: 2, dimension: 64)
            let blockBytes = CUDABackend.cacheBlockBytes(layers: 3, heads: heads, blockSize: 16, dtype: .f16)
            #expect(blockBytes == 3 * 2 * 2 * 16 * 64 * 2)
            let memory = try gpu.device.memory()
            let room = CacheRoom(total: memory.total, free: memory.free, utilization: 0.9)
            let count = room.cacheBytes / blockBytes
            #expect(count > 100)
            let cache = try gpu.makeKVCache(layers: 3, heads: heads, blockCount: count, blockSize: 16, dtype: .f16)
            #expect(cache.byteCount >= count * blockBytes)
            #expect(cache.byteCount <= (count + 1) * blockBytes + 3 * 2 * 256)
        }
    }
}
