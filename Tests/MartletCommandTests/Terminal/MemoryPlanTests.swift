import MartletModels
import MartletTensor
import Testing

@testable import MartletCommand

@Suite struct MemoryPlanTests {
    private func plan(_ devices: String, length: Int = 65536, cacheType: DType = .bf16) throws -> MemoryPlan {
        MemoryPlan(
            configuration: try Shapes.autoGLM(), devices: try DeviceList(text: devices), length: length,
            cacheType: cacheType, rows: 512)
    }

    @Test(arguments: [
        ("24GiB", 1, 24 << 30), ("2x24GiB", 2, 24 << 30), ("8X80gb", 8, 80_000_000_000), ("16", 1, 16 << 30),
        ("4x0.5g", 4, 1 << 29),
    ])
    func readsDevices(text: String, count: Int, bytes: Int) throws {
        #expect(try DeviceList(text: text) == DeviceList(count: count, bytes: bytes))
    }

    @Test(arguments: ["", "x", "2x", "0x24GiB", "2x-1GiB", "2x3x4", "2xnan", "2xinf", "1e9", "two"])
    func refusesDevices(text: String) { #expect(throws: UsageError.self) { try DeviceList(text: text) } }

    @Test func sharesTheNineBillion() throws {
        let plan = try plan("2x24GiB")
        let one = plan.share(storage: nil, over: 1)
        // 40 layers x 2 x 2 heads x 128 x 2 bytes.
        #expect(one.cacheBytesPerToken == 40960)
        #expect(one.weightBytes > 19 << 30 && one.weightBytes < 20 << 30)
        #expect(one.tokens == ((24 << 30) - one.weightBytes - one.activationBytes) / 40960)
        let two = plan.share(storage: nil, over: 2)
        #expect(two.weightBytes == (one.weightBytes + 1) / 2)
        #expect(two.cacheBytesPerToken == 20480)
        // Two KV heads: a fourth device cannot halve them again.
        #expect(plan.share(storage: nil, over: 4).cacheBytesPerToken == 20480)
        #expect(plan.share(storage: .q8_0, over: 1).weightBytes * 100 / one.weightBytes == 53)
    }

    @Test func bytesHalveTheCache() throws {
        let plan = try plan("24GiB", cacheType: .q8_0)
        // 40 layers x 2 x 2 heads x (128 bytes and a scale).
        #expect(plan.share(storage: nil, over: 1).cacheBytesPerToken == 40 * 2 * 2 * 132)
        #expect(plan.text(name: "m").contains("KV cache (INT8): 21120 bytes a token"))
    }

    @Test func saysWhatFits() throws {
        let small = try plan("16GiB", length: 4096).text(name: "m")
        #expect(small.contains("BF16              1        19.17           40960        none  does not fit"))
        #expect(small.contains("As stored it does not fit; a Q8_0 GGUF file does, with --max-model-len 4096."))
        let large = try plan("2x24GiB").text(name: "m")
        #expect(large.contains("As stored it fits: --max-model-len 65536 with 11 full sequences"))
        #expect(try plan("1GiB").text(name: "m").contains("It does not fit. More memory or more devices are needed."))
        #expect(try plan("21GiB").text(name: "m").contains("As stored it fits with --max-model-len"))
    }
}
