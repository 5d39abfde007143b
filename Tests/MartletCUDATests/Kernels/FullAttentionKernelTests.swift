import MartletTestSupport
import Testing

/// Attention inside an image on the device against the scalar kernel.
@Suite struct FullAttentionKernelTests {
    @Test(arguments: [16, 32, 64, 128], [KernelElement.f16, .bf16])
    func tensorCoresAreNearTheScalarKernel(dimension: Int, element: KernelElement) throws {
        for (patches, strip) in [(1, 0..<1), (32, 3..<30), (33, 0..<33), (150, 7..<140), (200, 199..<200)] {
            let image = Image(heads: 2, dimension: dimension, patches: patches, element: element)
            let truth = try image.truth(strip)
            try EmulatedDevice.inBothOrders { device in
                let name = "full_attention_\(element)_\(dimension)"
                let distance = try image.run(name, strip, on: device).distance(from: truth)
                #expect(distance < element.attentionBound, "\(patches) patches")
                #expect(distance > 0 || patches == 1)
            }
        }
    }

    @Test(arguments: [(24, KernelElement.f32), (128, .f32), (20, .f16), (256, .bf16)])
    func plainIsNearTheScalarKernel(dimension: Int, element: KernelElement) throws {
        for (patches, strip) in [(1, 0..<1), (33, 2..<33), (140, 100..<120)] {
            let image = Image(heads: 3, dimension: dimension, patches: patches, element: element)
            let truth = try image.truth(strip)
            try EmulatedDevice.inBothOrders { device in
                let result = try image.run("full_attention_plain_\(element)", strip, on: device)
                #expect(result.distance(from: truth) < element.attentionBound, "\(patches) patches")
            }
        }
    }

    /// Patches [patches, 3 * heads * dimension], rows further apart; what lies between them is NaN.
    private struct Image {
        let heads, dimension, patches: Int
        let element: KernelElement
        let fused: [Float]
        var width: Int { heads * dimension }
        var stride: Int { 3 * width + 8 }
        var scale: Float { 1 / Float(dimension).squareRoot() }

        init(heads: Int, dimension: Int, patches: Int, element: KernelElement) {
            (self.heads, self.dimension, self.patches, self.element) = (heads, dimension, patches, element)
            var generator = SeededGenerator(seed: UInt64(patches * dimension))
            fused = element.rounded((0..<patches).flatMap { _ in
                generator.floats(3 * heads * dimension, in: -2...2) + [Float](repeating: .nan, count: 8)
            })
        }

        func truth(_ strip: Range<Int>) throws -> [Float] {
            var result = [Float](repeating: .nan, count: strip.count * width)
            for head in 0..<heads {
                let start = head * dimension
                let output = try ScalarAttention(
                    queries: fused, query: strip.lowerBound * stride + start, queryStride: stride, rows: strip.count,
                    dimension: dimension, positions: patches, keys: fused, values: fused, key: start + width,
                    value: start + 2 * width, stride: stride
                ).output()
                for i in 0..<strip.count {
                    let first = i * width + start
                    result.replaceSubrange(
                        first..<first + dimension, with: output[i * dimension..<(i + 1) * dimension])
                }
            }
            return result
        }

        func run(_ kernel: String, _ strip: Range<Int>, on device: EmulatedDevice) throws -> [Float] {
            let isPlain = kernel.contains("plain"), yStride = width + 8
            let x = device.upload(element.bytes(of: fused))
            let size = (strip.count + 1) * yStride
            let y = device.upload([UInt8](repeating: 0xFF, count: size * element.byteCount))
            var arguments: [any BitwiseCopyable] = [x, Int32(stride), Int32(heads)]
            if isPlain { arguments.append(Int32(dimension)) }
            arguments += [Int32(patches), Int32(strip.lowerBound)] as [any BitwiseCopyable]
            if !isPlain { arguments.append(Int32(strip.count)) }
            arguments += [scale, y, Int32(yStride)] as [any BitwiseCopyable]
            let blocks = isPlain ? strip.count : (strip.count + 127) / 128
            try device.run(kernel, of: "full_attention.cu", grid: (blocks, heads, 1), threads: 128, arguments)
            let rows = element.values(of: device.download(size * element.byteCount, of: UInt8(0), at: y))
            device.free(x, y)
            // Nothing but the strip was written.
            #expect(rows.suffix(yStride + 8).allSatisfy { $0.isNaN })
            return (0..<strip.count).flatMap { rows[$0 * yStride..<$0 * yStride + width] }
        }
    }
}
