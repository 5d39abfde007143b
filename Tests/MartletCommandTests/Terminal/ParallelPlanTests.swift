import ArgumentParser
import MartletCUDA
import MartletModels
import MartletTensor
import MartletVision
import Testing

@testable import MartletCommand

@Suite struct ParallelPlanTests {
    @Test(arguments: [
        ("24GiB", 1, 24 << 30), ("2x24GiB", 2, 24 << 30), ("8X80gb", 8, 80_000_000_000), ("16", 1, 16 << 30),
        ("4x0.5g", 4, 1 << 29),
    ])
    func readsDevices(text: String, count: Int, bytes: Int) throws {
        #expect(try DeviceList(text: text) == DeviceList(count: count, bytes: bytes))
    }

    @Test(arguments: ["", "x", "2x", "0x24GiB", "2x-1GiB", "2x3x4", "2xnan", "2xinf", "1e9", "two"])
    func refusesDevices(text: String) { #expect(throws: UsageError.self) { try DeviceList(text: text) } }

    private func arguments(_ words: String) throws -> ParallelArguments {
        try ParallelArguments.parse(words.split(separator: " ").map(String.init))
    }

    private func plan(_ words: String, length: Int = 4096) throws -> ParallelPlan {
        let arguments = try arguments(words)
        let configuration = try Shapes.autoGLM()
        let devices = try arguments.deviceList()
        return ParallelPlan(
            configuration: configuration, tensors: configuration.tensors, devices: devices,
            share: try arguments.memoryShare(), size: try arguments.size(over: devices),
            storages: try arguments.storages(for: configuration), askedLength: length, cacheType: .bf16,
            rows: 512, speeds: try arguments.speeds(),
            images: ImageProcessor(configuration: ImageProcessorConfiguration()),
            device: arguments.kind)
    }

    @Test func whatFitsIsWhatIsLeft() throws {
        let plan = try plan("--devices 2x24GiB")
        let fit = try plan.fit(plan.storages[0], plan.size)
        #expect(plan.size == ParallelSize(tensor: 2))
        let deviceBytes = Int(24 * 0.92 * 1_073_741_824)
        // Room for 16,384 tokens of pictures of 4096 floats, one of 7500 tokens half encoded by 6 of 12 heads of 128,
        // and working memory.
        let patches = 4 * 7500
        let pictureBytes: Int = 16384 * 4096 * 4 + patches * (4 * (1536 + 128) + 3 * 2 * 768) + 1024 * 2 * 768
        let workspaceBytes = fit.ranks[0].stepBytes + pictureBytes + (256 << 20) + CacheRoom.workspace
        #expect(fit.workspaceBytes == [workspaceBytes, workspaceBytes])
        let free = deviceBytes - fit.ranks[0].weightBytes - workspaceBytes
        #expect(fit.commonTokens == free / 20480 && fit.tokens[1] == fit.tokens[0])
    }

    @Test func printsEveryKindOfRank() throws {
        let text = try plan("--devices 4x24GiB --tp 2 --pp 2 --quantization int8 --bandwidth 1000 --link 25").text(
            name: "m")
        #expect(text.contains("4 devices of 24.00 GiB, of which 22.08 GiB are used; KV cache in BF16"))
        #expect(text.contains("INT8     1 rank"))
        // Both ranks of a stage are alike.
        #expect(text.contains("INT8     TP 2 x PP 2        0-1"))
        #expect(text.contains("INT8     TP 2 x PP 2        2-3"))
        #expect(text.contains("Between tensor ranks, a token: 81 all-reduces of 16.0 KiB"))
        #expect(text.contains("each rank sends 1.27 MiB in 162 messages; then each gathers 296.0 KiB"))
        #expect(text.contains("Between stages, a token: 16.0 KiB"))
        #expect(text.contains("ms/token at 1,024  ms/token at 4,096"))
        #expect(text.contains("INT8 with TP 2 x PP 2 fits: --max-model-len 4096 with"))
    }

    @Test func saysWhatDoesNotFit() throws {
        #expect(try plan("--devices 16GiB").text(name: "m").contains("BF16 does not fit; --quantization int8 does"))
        #expect(try plan("--devices 1GiB").text(name: "m").contains("It does not fit."))
        let close = try plan("--devices 24GiB", length: 65536).text(name: "m")
        #expect(close.contains("BF16 fits with --max-model-len"))
        #expect(close.contains("For times give --bandwidth"))
        #expect(try plan("--devices 4x24GiB --dp 3").text(name: "m").contains("3 copies: figures are of one"))
        #expect(try plan("--devices 4x24GiB --dp 3").text(name: "m").contains("1 device is not used."))
    }

    @Test func meansThisMachineUnlessTold() throws {
        let here = try arguments("--quantization int8")
        #expect(try here.deviceList().count == 1)
        #expect(try here.memoryShare() == 1)
        #expect(try arguments("--devices 24GiB").memoryShare() == 0.92)
        #expect(try plan("").text(name: "m").contains("BF16     1 rank"))
        // On a CPU no room is set aside for pictures: one takes memory when it comes.
        for words in ["", "--devices 24GiB --device cpu"] {
            let plan = try plan(words)
            let fit = try plan.fit(plan.storages[0], ParallelSize())
            #expect(fit.workspaceBytes == [fit.ranks[0].stepBytes + fit.ranks[0].screenshotBytes])
        }
    }

    @Test func refusesAtOnce() throws {
        #expect(throws: ParallelError.self) { try plan("--devices 3x24GiB").text(name: "m") }
        for words in [
            "--tp 2", "--devices 2x24GiB --tp 4", "--devices 2x24GiB --tp 0", "--devices 24GiB --bandwidth fast",
            "--devices 24GiB --bandwidth=-3", "--devices 24GiB --bandwidth 1 --link 0",
            "--devices 24GiB --gpu-memory-utilization 1.5", "--devices 2x24GiB --pp 2 --pipeline-layer-partition 20,x",
            "--devices 24GiB --link-latency nan --bandwidth 1",
        ] {
            #expect(throws: UsageError.self, "\(words)") { try plan(words) }
        }
    }

    @Test func measuresWhereAsked() throws {
        let speeds = try #require(try arguments("--devices 24GiB --bandwidth measure").speeds())
        #expect(speeds.memory > 1e8)
    }
}
