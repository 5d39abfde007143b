import CCUDA
import CUDAEmulation
import Foundation
import MartletCUDA
import MartletTensor
import Synchronization

/// GPUs of this process, and what goes wrong with them.
package final class EmulatedGPUs: @unchecked Sendable {
    /// `@unchecked`: the emulation takes calls from any thread.
    private let emulation: OpaquePointer
    package let library: CUDALibrary

    /// An access that a GPU would punish or not even punish, or what was made and not given back.
    package struct Complaints: Error, CustomStringConvertible {
        package let description: String
    }

    private init(_ emulation: OpaquePointer) {
        self.emulation = emulation
        let table = martlet_emulation_table(emulation).pointee
        _ = table.driver.cuInit(0)
        library = CUDALibrary(table)
    }

    /// Runs `body` with GPUs of its own. Throws `Complaints` where it left any: everything that it made must be gone.
    package static func run<Result>(
        count: Int = 1, memoryBytes: Int = 1 << 30, architecture: Int = 89, multiprocessorCount: Int = 4,
        seed: UInt64 = 1, _ body: (EmulatedGPUs) throws -> Result
    ) throws -> Result {
        let gpus = try open(
            count: count, memoryBytes: memoryBytes, architecture: architecture,
            multiprocessorCount: multiprocessorCount, seed: seed)
        let result: Result
        do {
            result = try body(gpus)
        } catch {
            try gpus.close(after: error)
            throw error
        }
        try gpus.close(after: nil)
        return result
    }

    /// How many bodies that wait run now. Tests begin all at once, and each of these brings threads of its own.
    private static let waitingBodies = Mutex(0)

    /// The same of a body that waits; a few of them run at a time.
    package static func run<Result>(
        count: Int = 1, memoryBytes: Int = 1 << 30, hasNCCL: Bool = true, patienceSeconds: Double? = nil,
        seed: UInt64 = 1, _ body: (EmulatedGPUs) async throws -> Result
    ) async throws -> Result {
        while !waitingBodies.withLock({ running in
            guard running < 2 * ProcessInfo.processInfo.activeProcessorCount else { return false }
            running += 1
            return true
        }) {
            try await Task.sleep(for: .milliseconds(10))
        }
        defer { waitingBodies.withLock { $0 -= 1 } }
        let gpus = try open(
            count: count, memoryBytes: memoryBytes, architecture: 89, multiprocessorCount: 4, hasNCCL: hasNCCL,
            patienceSeconds: patienceSeconds, seed: seed)
        let result: Result
        do {
            result = try await body(gpus)
        } catch {
            try await gpus.awaitRelease()
            try gpus.close(after: error)
            throw error
        }
        try await gpus.awaitRelease()
        try gpus.close(after: nil)
        return result
    }

    /// An engine's thread gives up what it holds a moment after the engine has ended.
    private func awaitRelease() async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while callCount(of: "cuDevicePrimaryCtxRetain") != callCount(of: "cuDevicePrimaryCtxRelease"),
            ContinuousClock.now < deadline
        {
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private static func open(
        count: Int, memoryBytes: Int, architecture: Int, multiprocessorCount: Int, hasNCCL: Bool = true,
        patienceSeconds: Double? = nil, seed: UInt64
    ) throws -> EmulatedGPUs {
        var options = martlet_emulation_defaults()
        options.device_count = Int32(count)
        options.memory_bytes = memoryBytes
        options.architecture = Int32(architecture)
        options.multiprocessor_count = Int32(multiprocessorCount)
        options.has_nccl = hasNCCL ? 1 : 0
        if let patienceSeconds { options.patience_seconds = patienceSeconds }
        options.seed = seed
        guard let emulation = martlet_emulation_open(options) else {
            throw Complaints(description: "too many emulations at once")
        }
        return EmulatedGPUs(emulation)
    }

    private func close(after error: (any Error)?) throws {
        var text = [CChar](repeating: 0, count: 8192)
        guard martlet_emulation_close(emulation, &text, text.count) > 0 else { return }
        let words = String(decoding: text.lazy.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        throw Complaints(description: error.map { "after \($0): \(words)" } ?? words)
    }

    package func device(_ ordinal: Int = 0) throws -> CUDADevice { try CUDADevice(ordinal, of: library) }

    package func backend(
        _ operandType: DType, device ordinal: Int = 0, eightBits: EightBits? = nil
    ) throws -> CUDABackend {
        try CUDABackend(device(ordinal), operandType: operandType, threads: 1, eightBits: eightBits)
    }

    /// Call number `call` of `function` from now on does nothing but fail.
    package func plant(_ function: String, call: Int, error: Int) {
        precondition(martlet_emulation_plant(emulation, function, UInt64(call), Int32(error)) != 0, "no \(function)")
    }

    /// Call number `call` of `function` from now on returns success and does nothing.
    package func forget(_ function: String, call: Int) {
        precondition(martlet_emulation_forget(emulation, function, UInt64(call)) != 0, "no \(function)")
    }

    /// Kernels whose names begin with `kernel` have this flaw from now on; what `number` counts depends on it.
    package func spoil(_ kernel: String, _ flaw: martlet_emulation_flaw, _ number: Int = 0) {
        martlet_emulation_break(emulation, kernel, flaw, Int32(number))
    }

    /// How often a flaw had its effect.
    package var flawCount: Int { Int(martlet_emulation_flaw_count(emulation)) }

    /// The device is lost after `calls` more calls.
    package func lose(_ device: Int = 0, after calls: Int) {
        martlet_emulation_lose(emulation, Int32(device), UInt64(calls), CUDA_ERROR_LAUNCH_FAILED)
    }

    package func callCount(of function: String) -> Int { Int(martlet_emulation_calls(emulation, function)) }
}
