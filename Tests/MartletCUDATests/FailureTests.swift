import CCUDA
import MartletCore
import MartletTensor
import MartletTestSupport
import Testing

@testable import MartletCUDA

/// Errors of the driver: said in words, reported by the next operation that can, and nothing stays behind.
@Suite struct FailureTests {
    /// A bit of everything: loading, a step over a cache, graphs and all, and a choice.
    private func work(_ gpus: EmulatedGPUs) throws -> [SampledToken?] {
        let gpu = try gpus.backend(.f16)
        let heads = AttentionHeads(queryCount: 2, keyValueCount: 1, dimension: 16)
        let tensor = StoredTensor("w", dtype: .q8_0, rows: heads.fusedWidth, columns: 64)
        let plain = StoredTensor("p", dtype: .f16, rows: 16, columns: 32)
        let source = MemoryWeightSource(tensor, plain)
        let table = try gpu.loadMatrix([MatrixSlice(tensor.info)], from: source, dtype: nil)
        let head = try gpu.loadMatrix([MatrixSlice(plain.info)], from: source, dtype: nil)
        let norm = try gpu.loadVector([MatrixSlice(name: "p", rows: 0..<1, columns: 0..<16)], from: source)
        let cache = try gpu.makeKVCache(layers: 1, heads: heads, blockCount: 2, blockSize: 16, dtype: .f16)
        let hidden = try gpu.makeActivation(rows: 40, width: 64)
        let fused = try gpu.makeActivation(rows: 40, width: heads.fusedWidth, role: .operand)
        let rotary = try gpu.makeActivation(rows: 40, width: 16)
        let attended = try gpu.makeActivation(rows: 40, width: heads.queryWidth, role: .operand)
        let logits = try gpu.makeActivation(rows: 40, width: 16)
        let normed = try gpu.makeActivation(rows: 1, width: 16)
        let rotation = RotaryConfiguration(
            pairing: .interleaved, inverseFrequency: (0..<8).map { 1 / Float($0 + 1) },
            axis: [Int](repeating: 0, count: 8))
        var tokens: [SampledToken?] = []
        for (start, rows) in [(0, 20), (20, 1), (21, 1), (22, 1)] {
            var positions = RotaryPositions()
            for p in start..<start + rows { positions.append(t: Int32(p), h: Int32(p), w: Int32(p)) }
            gpu.embed((0..<rows).map { TokenID($0 % 8) }, table: table, firstRow: 0, into: hidden.rows(0..<rows))
            gpu.rotaryTable(rotation, positions: positions, into: rotary.rows(0..<rows))
            let batch = AttentionBatch(segments: [.init(rows: 0..<rows, start: start, blocks: [1, 0])])
            try gpu.layers(batch, cache: cache, room: 40) { batch in
                let rows = 0..<batch.rowCount
                gpu.linear(hidden.rows(rows), table, bias: nil, into: fused.rows(rows))
                gpu.rotateAndStore(
                    fused.rows(rows), heads: heads, table: rotary.rows(rows), pairing: .interleaved, cache: cache,
                    layer: 0, batch: batch)
                gpu.attention(
                    fused.rows(rows), heads: heads, cache: cache, layer: 0, batch: batch, into: attended.rows(rows))
                gpu.linear(attended.rows(rows), head, bias: nil, into: logits.rows(rows))
            }
            gpu.rmsNorm(logits.rows(0..<1), weight: norm, epsilon: 1e-5, into: normed)
            var request = SampleRequest(vocabularyCount: 16)
            request.logprobCount = 2
            tokens += try gpu.sample(logits.rows(rows - 1..<rows), [request])
        }
        return tokens
    }

    /// Functions whose failure somebody would see.
    static let functions = [
        "cuMemAlloc", "cuMemHostAlloc", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuStreamCreate",
        "cuStreamSynchronize", "cuEventCreate", "cuEventRecord", "cuEventSynchronize", "cuModuleLoadData",
        "cuModuleGetFunction", "cuLaunchKernel", "cuStreamBeginCapture", "cuStreamEndCapture",
        "cuGraphInstantiateWithFlags", "cuGraphLaunch", "cuDevicePrimaryCtxRetain", "nvrtcCreateProgram",
        "nvrtcCompileProgram", "nvrtcGetCUBIN", "cublasLtCreate", "cublasLtMatmulDescCreate",
        "cublasLtMatmulDescSetAttribute", "cublasLtMatrixLayoutCreate", "cublasLtMatmulPreferenceCreate",
        "cublasLtMatmulPreferenceSetAttribute", "cublasLtMatmulAlgoGetHeuristic", "cublasLtMatmul", "cuDeviceGet",
        "cuDeviceGetAttribute", "cuDeviceGetName", "cuDeviceTotalMem", "cuCtxSetCurrent", "nvrtcVersion",
        "nvrtcGetCUBINSize",
    ]

    /// Each call of each function fails once: a typed error that names it, nothing made and not given back. Where a
    /// step was being written down, it is run as it is.
    @Test(arguments: functions) func everyCallMayFail(_ function: String) throws {
        let (count, expected) = try EmulatedGPUs.run { gpus in
            let tokens = try work(gpus)
            return (gpus.callCount(of: function), tokens)
        }
        #expect(count > 0, "\(function) is not called")
        // Of the many alike a sample: the first, the last, and some between.
        let calls = Set((1...max(count, 1)).filter { $0 <= 4 || $0 % 23 == 0 } + [max(count, 1)])
        for call in calls.sorted() {
            do {
                let (found, graphCount) = try EmulatedGPUs.run { gpus in
                    gpus.plant(function, call: call, error: 1)
                    let tokens = try work(gpus)
                    return (tokens, gpus.callCount(of: "cuGraphLaunch"))
                }
                // What those do who give memory back is nobody's to report.
                #expect(
                    ["cuStreamSynchronize", "cuCtxSetCurrent"].contains(function) || graphCount == 0,
                    "call \(call) of \(function) went unnoticed")
                #expect(found == expected)
            } catch let error as CUDAError {
                guard case .failed(let name, 1, _) = error else {
                    Issue.record("\(function): \(error)")
                    continue
                }
                #expect(name.hasPrefix(String(function.prefix(12))), "\(function): \(error)")
            }
        }
    }

    /// A step that cannot be written down is run as it is, and those that follow it.
    @Test(arguments: ["cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"])
    func noGraphIsNoFailure(function: String) throws {
        let expected = try EmulatedGPUs.run { try work($0) }
        try EmulatedGPUs.run { gpus in
            gpus.plant(function, call: 1, error: Int(CUDA_ERROR_OUT_OF_MEMORY.rawValue))
            let found = try work(gpus)
            #expect(found == expected)
            #expect(gpus.callCount(of: function) == 1 && gpus.callCount(of: "cuGraphLaunch") == 0)
        }
    }

    /// After a failure that leaves the device as it was, the backend goes on.
    @Test func aFailureIsReportedOnce() throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32)
            let x = try gpu.makeActivation(rows: 2, width: 8)
            gpu.write([Float](repeating: 1, count: 16), to: x)
            gpus.plant("cuLaunchKernel", call: 1, error: 1)
            gpu.add(x, to: x)
            let launches = gpus.callCount(of: "cuLaunchKernel")
            gpu.add(x, to: x)
            #expect(gpus.callCount(of: "cuLaunchKernel") == launches, "went on behind a failure")
            #expect(throws: CUDAError.failed(call: "cuLaunchKernel", code: 1, name: "CUDA_ERROR_INVALID_VALUE")) {
                try gpu.read(x)
            }
            #expect(try gpu.read(x) == [Float](repeating: 1, count: 16))
            gpu.add(x, to: x)
            #expect(try gpu.read(x) == [Float](repeating: 2, count: 16))
        }
    }

    @Test func aLostDeviceStaysLost() throws {
        try EmulatedGPUs.run { gpus in
            let gpu = try gpus.backend(.f32), other = gpu.beside(operandType: .bf16)
            let x = try gpu.makeActivation(rows: 2, width: 8)
            gpus.lose(after: 0)
            gpu.add(x, to: x)
            for _ in 0..<2 {
                for backend in [gpu, other] {
                    let error = #expect(throws: DeviceLost.self) { try backend.read(x) }
                    #expect(error?.reason.hasPrefix("The GPU is lost: ") == true, "\(error?.reason ?? "")")
                }
            }
        }
    }

    @Test func memoryThatIsNotThere() throws {
        try EmulatedGPUs.run(memoryBytes: 256 << 20) { gpus in
            let gpu = try gpus.backend(.f16)
            let heads = AttentionHeads(queryCount: 8, keyValueCount: 8, dimension: 128)
            let error = #expect(throws: CUDAError.self) {
                try gpu.makeKVCache(layers: 2, heads: heads, blockCount: 2000, blockSize: 16, dtype: .f16)
            }
            guard case .outOfMemory(let shortage) = error else { return #expect(Bool(false), "no shortage") }
            let blockBytes = 2 * 2 * 8 * 16 * 128 * 2
            #expect(shortage.purpose == .cache(blockBytes: blockBytes))
            #expect(shortage.total == 256 << 20)
            #expect(shortage.description.hasSuffix("are free; \(shortage.free / blockBytes) blocks would fit"))
            // Nothing is lost: what fits can be had.
            _ = try gpu.makeKVCache(
                layers: 2, heads: heads, blockCount: shortage.free / blockBytes - 2, blockSize: 16, dtype: .f16)
        }
    }

    @Test func wordsSayWhatToDo() {
        #expect(
            CUDAError.driverTooOld(version: 12010).description
                == "the NVIDIA driver knows CUDA 12.1; CUDA 12.2 is needed: install driver 535 or newer")
        #expect(
            MemoryShortage(purpose: .weights, asked: 9 << 30, free: 5 << 29, total: 24 << 30).description
                == "out of GPU memory: 9.00 GiB for weights, while 2.50 GiB of 24.00 GiB are free; --quantization int8"
                + " halves 16-bit weights, --quantization int4 quarters them, more GPUs share them")
    }

    @Test func oldDevicesAreRefused() throws {
        try EmulatedGPUs.run(count: 2) { gpus in
            let visible = try CUDADevices.visible(gpus.library)
            #expect(visible.map(\.ordinal) == [0, 1])
            #expect(throws: CUDAError.noDevice) { try gpus.device(2) }
        }
        let old = CUDADevices.Description(ordinal: 0, name: "Old", memory: 0, major: 7, minor: 5)
        #expect(!old.isSupported)
    }
}
