import MartletModels
import MartletTensor
import Testing

@testable import MartletCommand

@Suite struct MemoryPlanTests {
    private func plan(_ gibibytes: Int, length: Int = 65536, cacheType: DType = .bf16) throws -> MemoryPlan {
        MemoryPlan(
            configuration: try Shapes.autoGLM(), bytes: gibibytes << 30, length: length,
            cacheType: cacheType, rows: 512)
    }

    @Test func countsTheNineBillion() throws {
        let plan = try plan(24)
        let one = plan.share(storage: nil)
        // 40 layers x 2 x 2 heads x 128 x 2 bytes.
        #expect(one.cacheBytesPerToken == 40960)
        #expect(one.weightBytes > 19 << 30 && one.weightBytes < 20 << 30)
        #expect(one.tokens == ((24 << 30) - one.weightBytes - one.activationBytes) / 40960)
        #expect(plan.share(storage: .q8_0).weightBytes * 100 / one.weightBytes == 53)
    }

    @Test func bytesHalveTheCache() throws {
        let plan = try plan(24, cacheType: .q8_0)
        // 40 layers x 2 x 2 heads x (128 bytes and a scale).
        #expect(plan.share(storage: nil).cacheBytesPerToken == 40 * 2 * 2 * 132)
        #expect(plan.text(name: "m").contains("KV cache (INT8): 21120 bytes a token"))
    }

    @Test func saysWhatFits() throws {
        let small = try plan(16, length: 4096).text(name: "m")
        #expect(small.contains("BF16              1        19.17           40960        none  does not fit"))
        #expect(small.contains("As stored it does not fit; a Q8_0 GGUF file does, with --max-model-len 4096."))
        let large = try plan(24).text(name: "m")
        #expect(large.contains("As stored it fits: --max-model-len 65536 with 1 full sequences"))
        #expect(try plan(1).text(name: "m").contains("It does not fit. More memory or more devices are needed."))
        #expect(try plan(20).text(name: "m").contains("As stored it fits with --max-model-len"))
    }
}
