import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletCPU

@Suite struct MemoryReadingTests {
    @Test func `reads every panel of every matrix once`() throws {
        let backend = try CPUBackend(threads: 2)
        // Several segments, each of some panels; and one of more than a piece.
        let a = StoredTensor("a", dtype: .q8_0, rows: 40, columns: 128, seed: 1)
        let b = StoredTensor("b", dtype: .q4_0, rows: 20, columns: 128, seed: 2)
        let small = try backend.loadMatrix(
            [MatrixSlice(a.info), MatrixSlice(b.info)], from: MemoryWeightSource(a, b), dtype: nil)
        let large = try backend.makeMatrix([Float](repeating: 1, count: 640 * 512), rows: 640, columns: 512)
        let panels = 48 * 128 / 32 * 34 + 32 * 128 / 32 * 18
        #expect(MemoryReading([small]).byteCount == panels)
        let both = MemoryReading([small, large])
        #expect(both.byteCount == panels + 640 * 512 * 4)
        both.read(by: backend.pool)
    }

    @Test func `reads dense activations`() throws {
        let backend = try CPUBackend(threads: 1)
        let x = try backend.makeActivation(rows: 3, width: 100)
        #expect(MemoryReading(x).byteCount == 1200)
    }
}
