import MartletCPU
import MartletCUDA
import MartletCore
import MartletTensor
import MartletTestSupport
import Testing

/// Patches and their positions.
@Suite struct VisionOperationTests {
    private func picture(rows: Int, columns: Int, seed: UInt64) -> PreparedImage {
        var generator = SeededGenerator(seed: seed)
        let (width, height) = (14 * columns, 14 * rows)
        return PreparedImage(
            width: width, height: height, originalWidth: width, originalHeight: height,
            rgb: (0..<3 * width * height).map { _ in UInt8.random(in: .min ... .max, using: &generator) },
            patchSize: 14, mergeSize: 2, mean: SIMD3(0.48, 0.46, 0.41), deviation: SIMD3(0.27, 0.26, 0.28))
    }

    @Test(arguments: DType.operands) func patches(_ type: DType) throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(type, on: gpus)
            let images = (0..<6).map { picture(rows: 4, columns: 6, seed: $0) }
            for (image, range) in [(0, 0..<24), (1, 3..<10), (2, 0..<5), (1, 10..<24), (2, 5..<24), (3, 7..<8)] {
                let y = try pair.empty(range.count, 1176, padding: 4, role: .operand)
                pair.gpu.extractPatches(images[image], temporalPatch: 2, range: range, into: y.gpu)
                pair.cpu.extractPatches(images[image], temporalPatch: 2, range: range, into: y.cpu)
                try pair.expectNear(y, within: type == .f32 ? 0 : type.bound, "picture \(image)")
            }
            // Pictures that are never finished make room for others.
            for image in images {
                let y = try pair.empty(1, 1176)
                pair.gpu.extractPatches(image, temporalPatch: 2, range: 0..<1, into: y.gpu)
                pair.cpu.extractPatches(image, temporalPatch: 2, range: 0..<1, into: y.cpu)
                try pair.expectNear(y, within: 0)
            }
        }
    }

    /// The pixels are brought once, however many strips there are.
    @Test func pixelsAreBroughtOnce() throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f16), image = picture(rows: 4, columns: 4, seed: 3)
            let y = try gpu.makeActivation(rows: 4, width: 1176, role: .operand)
            let before = gpus.callCount(of: "cuMemcpyHtoDAsync")
            for first in stride(from: 0, to: 16, by: 4) {
                gpu.extractPatches(image, temporalPatch: 2, range: first..<first + 4, into: y)
            }
            #expect(gpus.callCount(of: "cuMemcpyHtoDAsync") == before + 2)
        }
    }

    @Test func positions() throws {
        try EmulatedGPUs.run { gpus in
            let pair = try BackendPair(.f16, on: gpus)
            for (side, rows, columns, width) in [(4, 6, 2, 33), (24, 4, 10, 8), (3, 2, 2, 300)] {
                let table = try pair.vector(side * side * width)
                let x = try pair.rows(rows * columns, width, padding: 1)
                pair.gpu.addPositions(
                    table.gpu, side: side, rows: rows, columns: columns, mergeSize: 2, to: x.gpu)
                pair.cpu.addPositions(
                    table.cpu, side: side, rows: rows, columns: columns, mergeSize: 2, to: x.cpu)
                try pair.expectNear(x, within: 1e-6, "\(side)")
            }
        }
    }
}
