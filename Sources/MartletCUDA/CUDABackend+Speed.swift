import CCUDA
import MartletTensor

// MARK: - Speed

extension CUDABackend {
    /// Seconds that the device takes for `body` once, of `runs` in a row behind one that warms. Throws what the
    /// operations could not do.
    package func seconds(runs: Int, _ body: () throws -> Void) throws -> Double {
        try body()
        try wait()
        let start = ContinuousClock.now
        for _ in 0..<runs { try body() }
        try wait()
        let elapsed = (ContinuousClock.now - start).components
        return (Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18) / Double(runs)
    }

    /// Bytes a second that the device reads and writes while it copies `byteCount` bytes within its memory: what the
    /// best of products bound by memory could come to.
    package func copySpeed(byteCount: Int, runs: Int) throws -> Double {
        let source = try DeviceBuffer(byteCount, for: .workspace, on: stream)
        let target = try DeviceBuffer(byteCount, for: .workspace, on: stream)
        let seconds = try seconds(runs: runs) {
            try performThrowing {
                try device.library.check(
                    device.library.api.cuMemcpyDtoDAsync(target.address, source.address, byteCount, stream.handle),
                    "cuMemcpyDtoDAsync")
            }
        }
        return 2 * Double(byteCount) / seconds
    }

    /// Returns when everything put here is done.
    private func wait() throws { try performThrowing { try stream.synchronize() } }
}
