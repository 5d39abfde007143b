import CMartletKernels
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletCUDA

/// Patches and their positions with the CPU's bits.
@Suite struct VisionKernelTests {
    @Test(arguments: DType.operands) func patches(_ dtype: DType) throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32), scalar = try ScalarKernels.table
            let side = 7, merge = 2, columns = 4, rows = 6, frames = 2, first = 3, count = 17
            var generator = SeededGenerator(seed: 5)
            let rgb = (0..<3 * rows * columns * side * side).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let levels = generator.floats(3 * 256, in: -3...3)
            let width = 3 * frames * side * side
            var truth = [Float](repeating: 0, count: count * width)
            rgb.withUnsafeBufferPointer { rgb in
                levels.withUnsafeBufferPointer { levels in
                    guard let rgb = rgb.baseAddress, let levels = levels.baseAddress else { return }
                    var image = martlet_image(
                        rgb: rgb, width: columns * side, levels: levels, patch_size: side, merge_size: merge,
                        frames: frames)
                    scalar.extract_patches(&image, first, count, &truth, width)
                }
            }
            let y = try StoredRows(dtype, rows: count, width: width, stride: width + 5)
            let pixels = try DeviceValues(rgb, on: gpu), table = try DeviceValues(levels, on: gpu)
            let output = try y.on(gpu)
            try gpu.launch(
                KernelName(.extractPatches, dtype), grid: (count, 1, 1), threads: 256, pixels.address,
                Int32(columns * side), table.address, Int32(side), Int32(merge), Int32(frames), Int32(first),
                output.address, Int32(y.stride))
            #expect(try output.read() == y.with(truth).bytes)
        }
    }

    @Test func positions() throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32), scalar = try ScalarKernels.table
            let grids = [(3, 5, 2, 6, 2), (24, 300, 4, 2, 2), (4, 7, 9, 3, 3), (5, 1, 1, 1, 1)]
            for (side, width, rows, columns, merge) in grids {
                var generator = SeededGenerator(seed: UInt64(side))
                let table = generator.floats(side * side * width)
                let x = try StoredRows.random(.f32, rows: rows * columns, width: width, stride: width + 2)
                var truth = try x.values()
                table.withUnsafeBufferPointer { table in
                    guard let table = table.baseAddress else { return }
                    var grid = martlet_position_grid(
                        table: table, side: side, width: width, rows: rows, columns: columns, merge_size: merge)
                    scalar.add_positions(&grid, 0, rows * columns, &truth, width)
                }
                let learned = try DeviceValues(table, on: gpu), memory = try x.on(gpu)
                try gpu.launch(
                    KernelName(.addPositions), grid: (rows * columns, 1, 1), threads: 256, learned.address,
                    Int32(side), Int32(width), Int32(rows), Int32(columns), Int32(merge), memory.address,
                    Int32(x.stride))
                #expect(try memory.read() == x.with(truth).bytes, "\(rows) x \(columns) of \(side)")
            }
        }
    }
}
