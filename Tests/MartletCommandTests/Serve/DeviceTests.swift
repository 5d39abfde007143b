import MartletCUDA
import MartletCore
import MartletEngine
import MartletModels
import Testing

@testable import MartletCommand

/// Where `--device` has a model compute, and what follows from it.
@Suite struct DeviceTests {
    private func settled(
        _ words: String..., visible: String? = nil, gpus: () throws -> Int
    ) throws -> ServeSettings {
        var settings = try FlagReader(["m"] + words).settings(environment: [:])
        try settings.settle(visibleDevices: visible, gpuCount: gpus)
        return settings
    }

    private static let missing = CUDAError.noDriver(detail: "no libcuda.so.1")

    @Test func aGPUIsUsedWhereThereIsOne() throws {
        let settings = try settled { 1 }
        #expect(settings.model.device == .cuda && settings.remarks.isEmpty)
        // What suits it, where nothing else is asked for.
        #expect(settings.model.maxBatchedTokens == 2048 && settings.engine.maxBatchedTokens == 2048)
        #expect(settings.model.maxRunningSequences == 64 && settings.engine.maxRunningSequences == 64)
        #expect(settings.engine.stepTargetSeconds == 0.05)
        #expect(settings.model.eightBits == nil)
        let asked = try settled("--max-num-seqs", "3", "--max-num-batched-tokens", "100") { 1 }
        #expect(asked.model.maxRunningSequences == 3 && asked.model.maxBatchedTokens == 100)
        #expect(try settled("--device", "cuda") { 2 }.model.device == .cuda)
        #expect(try settled("--device", "cpu") { 1 }.model.device == .cpu)
    }

    /// What is said of activations counts, in whatever order; then what fp8 weights mean.
    @Test(arguments: [
        ("-q fp8", EightBits.fp8), ("-q int8", nil), ("-q int8 --activations int8", .int8),
        ("--activations bf16 -q fp8", nil), ("--activations int8 -q fp8", .int8),
    ])
    func manyRowsAreInEightBits(words: String, format: EightBits?) throws {
        var settings = try FlagReader(["m"] + words.split(separator: " ").map(String.init)).settings(environment: [:])
        try settings.settle(visibleDevices: nil) { 1 }
        #expect(settings.model.eightBits == format)
    }

    @Test func theCPUIsUsedWhereThereIsNone() throws {
        let settings = try settled { throw Self.missing }
        #expect(settings.model.device == .cpu && settings.remarks.isEmpty)
        #expect(settings.model.maxBatchedTokens == 512 && settings.engine.stepTargetSeconds == 1)
        #expect(try settled { 0 }.model.device == .cpu)
        let named = try settled(visible: "0,1") { throw Self.missing }
        #expect(
            named.remarks == [
                "CUDA_VISIBLE_DEVICES names 2 GPUs, which can't be used: \(Self.missing). It runs on the CPU."
            ])
        #expect(try settled(visible: "-1") { throw Self.missing }.remarks.isEmpty)
        // A driver without what it takes to use it is somebody's mistake.
        let old = CUDAError.deviceTooOld(name: "a card", major: 7, minor: 5)
        #expect(try settled { throw old }.remarks == ["No GPU is used: \(old). It runs on the CPU."])
    }

    @Test func aGPUThatIsAskedForMustBeThere() {
        #expect(throws: Self.missing) { try settled("--device", "cuda") { throw Self.missing } }
        #expect(throws: CUDAError.noDevice) { try settled("--device", "cuda") { 0 } }
    }

    /// config.json may name wider heads than the kernels' shared memory holds.
    @Test(arguments: [(256, true), (258, false), (4096, false)])
    func headsThatNoKernelTakesAreRefused(_ dimension: Int, _ isTaken: Bool) throws {
        let text = """
            {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 32, "hidden_size": 64,
             "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1,
             "head_dim": \(dimension), "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0}
            """
        let configuration = try ModelConfiguration(
            config: JSONParser.parse(text), generation: nil, file: "config.json")
        if isTaken {
            try CUDAHardware.check(configuration)
        } else {
            #expect(throws: UsageError.self) { try CUDAHardware.check(configuration) }
        }
    }

    @Test func flagsOfTheGPUSayThatTheyDoNothingOnTheCPU() throws {
        let words = ["--gpu-memory-utilization", "0.5", "--enforce-eager"]
        var settings = try FlagReader(["m"] + words).settings(environment: [:])
        #expect(settings.model.deviceMemoryShare == 0.5 && !settings.model.capturesGraphs)
        var other = settings
        try settings.settle(visibleDevices: nil) { 0 }
        #expect(settings.remarks.count == 2)
        #expect(settings.remarks[0].hasPrefix("--gpu-memory-utilization has no effect here: it is for GPUs."))
        #expect(settings.remarks[1].hasPrefix("--enforce-eager has no effect here"))
        try other.settle(visibleDevices: nil) { 1 }
        #expect(other.remarks.isEmpty)
    }
}
