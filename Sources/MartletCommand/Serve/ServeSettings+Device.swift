import MartletCPU
import MartletCUDA
import MartletEngine

extension ServeSettings {
    /// Settles where to compute, and what follows from it. Throws where a GPU is asked for and there is none that will
    /// do.
    mutating func settle(environment: [String: String]) throws {
        try settle(visibleDevices: environment["CUDA_VISIBLE_DEVICES"]) {
            let devices = try CUDADevices.visible(CUDAHardware.library(environment))
            let count = devices.count { $0.isSupported }
            if count == 0, let old = devices.first {
                throw CUDAError.deviceTooOld(name: old.name, major: old.major, minor: old.minor)
            }
            return count
        }
    }

    /// `gpuCount`: of GPUs that will do; throws why it can't be told.
    mutating func settle(visibleDevices: String?, gpuCount: () throws -> Int) throws {
        switch deviceChoice {
        case .cpu: break
        case .auto:
            do {
                if try gpuCount() > 0 { model.device = .cuda }
            } catch {
                remark(visibleDevices, error)
            }
        case .cuda:
            guard try gpuCount() > 0 else { throw CUDAError.noDevice }
            model.device = .cuda
        }
        if model.device == .cuda { try preferGPU() } else { remarkCPU() }
    }

    /// A machine without a driver is nothing to remark, unless GPUs are named.
    private mutating func remark(_ visibleDevices: String?, _ error: any Error) {
        let isNamed = visibleDevices.map { !$0.isEmpty && $0 != "-1" } ?? false
        if case CUDAError.noDriver = error, !isNamed { return }
        guard visibleDevices != "-1" else { return }
        let names = (visibleDevices ?? "").split(separator: ",")
        let what =
            isNamed
            ? "CUDA_VISIBLE_DEVICES names \(names.count) GPU\(names.count == 1 ? "" : "s"), which can't be used"
            : "No GPU is used"
        remarks.append("\(what): \(error). It runs on the CPU.")
    }

    private func isGiven(_ name: String) -> Bool { given.contains { $0.name == name } }

    private mutating func preferGPU() throws {
        let device = model.device
        if !isGiven("max-num-batched-tokens") { model.maxBatchedTokens = device.usualRows }
        if !isGiven("max-num-seqs") { model.maxRunningSequences = min(device.usualSequences, model.maxBatchedTokens) }
        if isGiven("activations") { model.eightBits = model.activations == .int8 ? .int8 : nil }
        engine.stepTargetSeconds = device.usualStepSeconds
        try check()
    }

    private mutating func remarkCPU() {
        if isGiven("gpu-memory-utilization") {
            remarks.append(
                "--gpu-memory-utilization has no effect here: it is for GPUs. On the CPU --kv-cache-memory-bytes sets"
                    + " the size of the KV cache.")
        }
        if isGiven("enforce-eager") {
            remarks.append("--enforce-eager has no effect here: the CPU backend captures no graphs.")
        }
    }
}
