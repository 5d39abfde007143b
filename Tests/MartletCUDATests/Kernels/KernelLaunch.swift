import CCUDA
import CUDAEmulation
import Testing

extension EmulatedDevice {
    /// Launches a kernel of `file` and waits. A kernel that fails is an issue of the test.
    func run(
        _ name: String, of file: String, grid: (Int, Int, Int), threads: Int, _ arguments: [any BitwiseCopyable],
        location: SourceLocation = #_sourceLocation
    ) throws {
        let architecture = martlet_emulation_defaults().architecture
        var module: CUmodule?, function: CUfunction?
        let image = "martlet emulated cubin sm_\(architecture) \(file)\n"
        #expect(driver.cuModuleLoadData(&module, image) == CUDA_SUCCESS, sourceLocation: location)
        let loaded = try #require(module, sourceLocation: location)
        defer { _ = driver.cuModuleUnload(loaded) }
        _ = driver.cuModuleGetFunction(&function, loaded, name)
        let found = try #require(function, "no kernel \(name)", sourceLocation: location)
        let words = UnsafeMutablePointer<UInt64>.allocate(capacity: arguments.count)
        defer { words.deallocate() }
        var pointers: [UnsafeMutableRawPointer?] = []
        for (index, argument) in arguments.enumerated() {
            let place = UnsafeMutableRawPointer(words + index)
            place.put(argument)
            pointers.append(place)
        }
        let launched = driver.cuLaunchKernel(
            found, UInt32(grid.0), UInt32(grid.1), UInt32(grid.2), UInt32(threads), 1, 1, 0, stream, &pointers, nil)
        #expect(launched == CUDA_SUCCESS, "\(name)", sourceLocation: location)
        #expect(driver.cuStreamSynchronize(stream) == CUDA_SUCCESS, "\(name)", sourceLocation: location)
    }

    /// A device of one's own for `body`, once for each order of threads; what the emulation complains of is an issue.
    static func inBothOrders(_ body: (EmulatedDevice) throws -> Void) throws {
        for order in [MARTLET_EMULATION_FORWARD, MARTLET_EMULATION_BACKWARD] {
            let device = try EmulatedDevice { $0.order = order }
            try body(device)
            #expect(device.close() == [])
        }
    }
}

extension UnsafeMutableRawPointer {
    fileprivate func put(_ value: some BitwiseCopyable) { storeBytes(of: value, as: type(of: value)) }
}

extension [Float] {
    /// The largest difference; infinite if one of the two is NaN where the other is not.
    func distance(from truth: [Float]) -> Float {
        guard count == truth.count else { return .infinity }
        return zip(self, truth).reduce(0) { largest, pair in
            if pair.0.isNaN && pair.1.isNaN { return largest }
            let difference = abs(pair.0 - pair.1)
            return difference.isNaN ? .infinity : Swift.max(largest, difference)
        }
    }

    var bits: [UInt32] { map(\.bitPattern) }
}
