import MartletTestSupport
import Testing

/// Paged attention on the device against the scalar kernel: every type, dimension and size of tile, on shapes that fill
/// neither tiles nor fragments.
@Suite struct AttentionKernelTests {
    typealias Heads = PagedKernelScene.Heads

    /// Of GLM, of SmolLM2, of the tiny models, and one without groups.
    static let heads = [
        Heads(query: 32, keyValue: 2, dimension: 128), Heads(query: 9, keyValue: 3, dimension: 64),
        Heads(query: 4, keyValue: 2, dimension: 32), Heads(query: 3, keyValue: 3, dimension: 16),
    ]

    /// First tokens, runs and tiles just full and just begun, a chunk in the middle of a sequence, guesses.
    static let sequences: [PagedKernelScene.Rows] = [
        .init(start: 0, count: 1), .init(start: 15, count: 1), .init(start: 16, count: 1), .init(start: 37, count: 9),
        .init(start: 63, count: 2), .init(start: 0, count: 33), .init(start: 150, count: 3),
    ]

    @Test(arguments: heads, [(KernelElement.f16, KernelElement.f16), (.bf16, .bf16), (.f16, .i8), (.bf16, .i8)])
    func tensorCoresAreNearTheScalarKernel(heads: Heads, types: (KernelElement, KernelElement)) throws {
        let scene = PagedKernelScene(heads: heads, operand: types.0, cache: types.1, sequences: Self.sequences)
        let truth = try scene.truth()
        try EmulatedDevice.inBothOrders { device in
            for (places, splits) in [(16, 1), (16, 3), (64, 1), (64, 2), (128, 1), (128, 2)] {
                if places == 128, heads.dimension < 128 { continue }
                let result = try scene.run(.tensorCores(places), splits: splits, on: device)
                let distance = result.distance(from: truth)
                #expect(distance < types.0.attentionBound, "tiles of \(places), \(splits) splits")
                // Rounding shows, or this compares a thing with itself.
                #expect(distance > types.0.attentionBound / 100)
            }
        }
    }

    @Test(arguments: KernelElement.allCases.filter { $0 != .i8 }, KernelElement.allCases)
    func plainIsNearTheScalarKernel(operand: KernelElement, cache: KernelElement) throws {
        let shapes = [
            Heads(query: 4, keyValue: 2, dimension: 32), Heads(query: 3, keyValue: 1, dimension: 20),
            Heads(query: 2, keyValue: 2, dimension: 256),
        ]
        for heads in shapes {
            let scene = PagedKernelScene(heads: heads, operand: operand, cache: cache, sequences: Self.sequences)
            let truth = try scene.truth()
            try EmulatedDevice.inBothOrders { device in
                for splits in [1, 3] {
                    let distance = try scene.run(.plain, splits: splits, on: device).distance(from: truth)
                    #expect(distance < operand.attentionBound, "\(heads), \(splits) splits")
                }
            }
        }
    }

    /// Where blocks lie, and how large they are, changes no bit; nor do a sequence's neighbours.
    @Test(arguments: [PagedKernelScene.Kernel.tensorCores(16), .tensorCores(64), .plain], [KernelElement.f16, .i8])
    func blocksMayLieAnywhere(kernel: PagedKernelScene.Kernel, cache: KernelElement) throws {
        let heads = Heads(query: 8, keyValue: 2, dimension: 32)
        try EmulatedDevice.inBothOrders { device in
            var first: [UInt32]?
            for blockSize in [16, 48, 64] {
                let scene = PagedKernelScene(
                    heads: heads, operand: .f16, cache: cache, blockSize: blockSize, sequences: Self.sequences)
                let bits = try scene.run(kernel, splits: 2, on: device).bits
                #expect(bits == first ?? bits, "blocks of \(blockSize)")
                first = bits
            }
        }
    }

    /// A row that is no number must not reach the rows before it, in the same tile of the same chunk; its own output is
    /// no number either.
    @Test(arguments: heads, [KernelElement.f16, .i8])
    func laterRowsHaveNoEffect(heads: Heads, cache: KernelElement) throws {
        let scene = PagedKernelScene(
            heads: heads, operand: .f16, cache: cache, sequences: [.init(start: 20, count: 24)], seed: 5)
        var poisoned = scene
        let healthy = 13
        for position in 20 + healthy..<44 {
            for row in position * heads.keyValue..<(position + 1) * heads.keyValue {
                if cache == .i8 {
                    poisoned.keyScales[0][row] = .nan
                    poisoned.valueScales[0][row] = .nan
                } else {
                    for i in row * scene.heads.dimension..<(row + 1) * scene.heads.dimension {
                        poisoned.keys[0][i] = .nan
                        poisoned.values[0][i] = position % 2 == 0 ? .nan : .infinity
                    }
                }
            }
        }
        let kernels: [PagedKernelScene.Kernel] =
            [.plain, .tensorCores(16), .tensorCores(64)] + (heads.dimension == 128 ? [.tensorCores(128)] : [])
        try EmulatedDevice.inBothOrders { device in
            for (kernel, splits) in kernels.flatMap({ [($0, 1), ($0, 2)] }) {
                let clean = try scene.run(kernel, splits: splits, on: device)
                let result = try poisoned.run(kernel, splits: splits, on: device)
                let early = healthy * scene.queryWidth
                #expect(result.prefix(early).allSatisfy { $0.isFinite })
                #expect(Array(result.prefix(early)).distance(from: Array(clean.prefix(early))) < 1e-3)
                #expect(result.dropFirst(early).allSatisfy { $0.isNaN })
            }
        }
    }
}
