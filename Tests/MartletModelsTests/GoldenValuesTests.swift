import MartletCPU
import MartletCore
import MartletEngine
import MartletTensor
import Testing

@testable import MartletModels

/// Every golden number of MODEL.md 7.2, on every instruction set this machine has.
@Suite struct GoldenValuesTests {
    @Test(arguments: CPUKernels.available) func everyIntermediateAgrees(isa: String) throws {
        try GoldenValues().checkIntermediates(on: CPUBackend(threads: 2, isa: isa))
    }

    @Test(arguments: CPUKernels.available) func textOnlyPromptAgrees(isa: String) throws {
        try GoldenValues().checkTextOnly(on: CPUBackend(threads: 1, isa: isa))
    }

    @Test func positionsFollowTheImages() {
        let images = [
            ImageSpan(id: 0, offset: 10, rows: 5, columns: 4), ImageSpan(id: 1, offset: 33, rows: 2, columns: 4),
        ]
        let sequence = SequencePositions(images: images)
        #expect(sequence.delta == -19)
        var all = RotaryPositions()
        sequence.append(0..<47, to: &all)
        #expect(all.t == Array(0...9) + [Int32](repeating: 10, count: 20) + [15, 16, 17]
            + [Int32](repeating: 18, count: 8) + Array(22...27))
        #expect(Array(all.h[10..<30]) == (10...14).flatMap { [Int32](repeating: $0, count: 4) })
        #expect(Array(all.w[10..<30]) == (0..<5).flatMap { _ in [10, 11, 12, 13] })
        #expect(Array(all.h[33..<41]) == [18, 18, 18, 18, 19, 19, 19, 19])
        #expect(Array(all.w[33..<41]) == [18, 19, 20, 21, 18, 19, 20, 21])
        var pieces = RotaryPositions()
        for start in stride(from: 0, to: 47, by: 7) { sequence.append(start..<min(start + 7, 47), to: &pieces) }
        #expect(pieces == all)
        var generated = RotaryPositions()
        sequence.append(47..<49, to: &generated)
        #expect(generated.t == [28, 29] && generated.h == generated.t && generated.w == generated.t)
    }
}
