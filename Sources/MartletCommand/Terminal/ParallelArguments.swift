import ArgumentParser
import MartletCPU
import MartletModels
import MartletTensor

/// The devices of a plan, how ranks share a model over them, and how fast they are.
struct ParallelArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp("Equal devices; default: this machine's free memory.", valueName: "24GiB|2x24GiB"))
    var devices: String?
    @Option(
        help: ArgumentHelp("What devices are; default: GPUs, of this machine its CPU.", valueName: "cpu|cuda"))
    var device: ComputeDevice?
    @Option(
        name: [.long, .customLong("tp")],
        help: ArgumentHelp("Ranks that share every layer; default: all devices.", valueName: "n"))
    var tensorParallelSize: Int?
    @Option(
        name: [.long, .customLong("pp")],
        help: ArgumentHelp("Stages that share the stack of layers; default: 1.", valueName: "n"))
    var pipelineParallelSize: Int?
    @Option(
        name: [.long, .customLong("dp")], help: ArgumentHelp("Copies of the model; default: 1.", valueName: "n"))
    var dataParallelSize: Int?
    @Option(help: ArgumentHelp("Layers of each stage; default: balanced.", valueName: "18,22"))
    var pipelineLayerPartition: String?
    @Option(help: ArgumentHelp("How tensor ranks share the vision tower.", valueName: "weights|data"))
    var mmEncoderTpMode = TowerMode.weights
    @Option(
        help: ArgumentHelp(
            "Share of each device's memory to use; default: 0.92, of what is free here all.", valueName: "0…1"))
    var gpuMemoryUtilization: Double?
    @Option(
        name: [.long, .customShort("q")],
        help: ArgumentHelp(
            "What plain matrices become while they are loaded; default: a line for each.", valueName: "none|int8|int4"))
    var quantization: WeightQuantization?
    @Option(
        help: ArgumentHelp(
            "What a device reads from its memory; measure: this machine's.", valueName: "GB/s|measure"))
    var bandwidth: String?
    @Option(help: ArgumentHelp("What a rank sends to another.", valueName: "GB/s")) var link: Double?
    @Option(help: ArgumentHelp("What a message takes beside its bytes.", valueName: "us")) var linkLatency = 5.0

    var kind: ComputeDevice { device ?? (devices == nil ? .cpu : .cuda) }

    func deviceList() throws -> DeviceList {
        try devices.map(DeviceList.init(text:)) ?? DeviceList.thisMachine()
    }

    /// Tensor ranks on all devices, where nothing else is said.
    func size(over devices: DeviceList) throws -> ParallelSize {
        let isAsked = tensorParallelSize != nil || pipelineParallelSize != nil || dataParallelSize != nil
        let partition = try pipelineLayerPartition.map(LayerCounts.read)
        let size = ParallelSize(
            tensor: tensorParallelSize ?? (isAsked ? 1 : devices.count), pipeline: pipelineParallelSize ?? 1,
            data: dataParallelSize ?? 1, layerPartition: partition, towerMode: mmEncoderTpMode)
        for (flag, count) in [
            ("--tensor-parallel-size", size.tensor), ("--pipeline-parallel-size", size.pipeline),
            ("--data-parallel-size", size.data),
        ] where !(1...1024).contains(count) {
            throw UsageError("\(flag) is between 1 and 1024.")
        }
        guard size.rankCount <= devices.count else {
            throw UsageError(
                "\(size.tensor) x \(size.pipeline) x \(size.data) ranks need \(size.rankCount) devices, not"
                    + " \(devices.count): give e.g. --devices \(size.rankCount)x24GiB.")
        }
        return size
    }

    func memoryShare() throws -> Double {
        let share = gpuMemoryUtilization ?? (devices == nil ? 1 : ModelOptions().deviceMemoryShare)
        guard share > 0, share <= 1 else { throw UsageError("--gpu-memory-utilization is above 0, and 1 at most.") }
        return share
    }

    /// Plain weights as they are, in 8 and in 4 bits, unless one of these is asked for.
    func storages(for configuration: ModelConfiguration) throws -> [WeightStorage] {
        if let quantization {
            if configuration.dtype.isQuantized, quantization != .none {
                throw UsageError("--quantization \(quantization.rawValue): the model's weights are quantised already.")
            }
            return [WeightStorage(quantization: quantization)]
        }
        let all: [WeightQuantization] = configuration.dtype.isQuantized ? [.none] : [.none, .int8, .int4]
        return all.map { WeightStorage(quantization: $0) }
    }

    /// nil where no bandwidth is given: then there are no times.
    func speeds() throws -> DeviceSpeeds? {
        func speed(_ flag: String, _ value: Double) throws -> Double {
            guard value > 0, value <= 1e6 else { throw UsageError("\(flag) is above 0 and at most 1,000,000 GB/s.") }
            return value * 1e9
        }
        guard linkLatency >= 0, linkLatency <= 1e6 else {
            throw UsageError("--link-latency is in microseconds, between 0 and 1,000,000.")
        }
        let link = try link.map { try speed("--link", $0) }
        guard let bandwidth else { return nil }
        if bandwidth == "measure" {
            let bench = KernelBench(backend: try CPUBackend(), repeats: 5, seconds: 0.1)
            return DeviceSpeeds(memory: try bench.readSpeed(), link: link, linkLatency: linkLatency * 1e-6)
        }
        guard let value = Double(bandwidth) else {
            throw UsageError("--bandwidth: '\(bandwidth)' is neither a number of GB/s nor 'measure'.")
        }
        return DeviceSpeeds(memory: try speed("--bandwidth", value), link: link, linkLatency: linkLatency * 1e-6)
    }
}

extension ComputeDevice: ExpressibleByArgument {}
extension TowerMode: ExpressibleByArgument {}
extension WeightQuantization: ExpressibleByArgument {}
