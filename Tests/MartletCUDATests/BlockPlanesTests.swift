import MartletCUDA
import MartletTensor
import MartletTestSupport
import Testing

/// Where the bytes of a matrix go.
@Suite struct BlockPlanesTests {
    /// Every byte of every row has a place of its own, planes begin at their alignment, and fields lie together.
    @Test(arguments: DType.allCases) func everyByteHasItsPlace(_ dtype: DType) throws {
        let rows = 5, columns = 3 * dtype.blockElements
        let planes = try #require(BlockPlanes(dtype, rows: rows, columns: columns))
        let tensor = StoredTensor("w", dtype: dtype, rows: rows, columns: columns)
        #expect(planes.offsets.allSatisfy { $0 % BlockPlanes.alignment == 0 })
        #expect(planes.fieldBytes.reduce(0, +) == dtype.blockBytes)
        var memory = [UInt8](repeating: 0, count: planes.byteCount)
        memory.withUnsafeMutableBytes { memory in
            tensor.bytes.withUnsafeBytes { stored in
                guard let memory = memory.baseAddress, let stored = stored.baseAddress else { return }
                for row in 0..<rows { planes.scatter(stored + row * tensor.info.rowBytes, row: row, into: memory) }
            }
        }
        var gathered: [UInt8] = []
        for row in 0..<rows {
            for block in 0..<3 {
                for (field, bytes) in planes.fieldBytes.enumerated() {
                    let start = planes.offset(field, row: row) + block * bytes
                    gathered += memory[start..<start + bytes]
                }
            }
        }
        #expect(gathered == tensor.bytes)
    }

    @Test func sizesThatOverflowAreRefused() {
        #expect(BlockPlanes(.f32, rows: .max / 8, columns: 1024) == nil)
        #expect(BlockPlanes(.q4_K, rows: .max / 144, columns: 256) == nil)
    }
}
