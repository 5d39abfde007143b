import CCUDA
import Foundation

/// What a device does one after the other. Calls put work there and return; failures of the work show in later calls.
package final class DeviceStream {
    package let device: CUDADevice
    let handle: CUstream
    /// By which work of this stream waits for other ranks.
    var exchanges: NCCLCommunicator?

    var library: CUDALibrary { device.library }

    init(_ device: CUDADevice) throws(CUDAError) {
        self.device = device
        try device.makeCurrent()
        var handle: CUstream?
        // Apart from the legacy default stream, which would wait for others.
        try device.library.check(
            device.library.api.cuStreamCreate(&handle, UInt32(CU_STREAM_NON_BLOCKING)), "cuStreamCreate")
        guard let handle else { throw .failed(call: "cuStreamCreate", code: 0, name: "no stream") }
        self.handle = handle
    }

    deinit {
        settle()
        // Behind all graphs that have its calls, before the stream that they are on.
        exchanges = nil
        try? device.makeCurrent()
        _ = library.api.cuStreamDestroy(handle)
    }

    /// Returns when everything put here is done.
    func synchronize() throws(CUDAError) {
        guard exchanges == nil else { return try wait("cuStreamSynchronize") { library.api.cuStreamQuery(handle) } }
        try library.check(library.api.cuStreamSynchronize(handle), "cuStreamSynchronize")
    }

    /// The same up to an event of this stream.
    func synchronize(_ event: CUevent) throws(CUDAError) {
        guard exchanges == nil else { return try wait("cuEventSynchronize") { library.api.cuEventQuery(event) } }
        try library.check(library.api.cuEventSynchronize(event), "cuEventSynchronize")
    }

    /// Until `query` says that it is done, or the ranks that it may wait for are lost.
    private func wait(_ call: String, _ query: () -> CUresult) throws(CUDAError) {
        var code = query()
        while code == CUDA_ERROR_NOT_READY, exchanges?.isSound() == true {
            sched_yield()
            code = query()
        }
        // An exchange that was ended lets the stream go in a moment.
        let deadline = ContinuousClock.now + .seconds(Self.partingSeconds)
        while code == CUDA_ERROR_NOT_READY, ContinuousClock.now < deadline {
            usleep(100)
            code = query()
        }
        if let failure = exchanges?.failure { throw failure }
        try library.check(code, call)
    }

    private static let partingSeconds = 10.0

    /// Before something that the stream's work may use is given back: whatever fails here fails for others, too, who
    /// can say so.
    func settle() {
        try? device.makeCurrent()
        try? synchronize()
    }

    /// What follows waits for what was put before `event`, on whatever stream.
    func wait(for event: DeviceEvent) throws(CUDAError) {
        try library.check(library.api.cuStreamWaitEvent(handle, event.handle, 0), "cuStreamWaitEvent")
    }

    /// The source must stay as it is until the copy is done.
    func copy(_ bytes: Int, from host: UnsafeRawPointer, to device: CUdeviceptr) throws(CUDAError) {
        guard bytes > 0 else { return }
        try library.check(library.api.cuMemcpyHtoDAsync(device, host, bytes, handle), "cuMemcpyHtoDAsync")
    }

    /// The target has the bytes once the stream has come so far.
    func copy(_ bytes: Int, from device: CUdeviceptr, to host: UnsafeMutableRawPointer) throws(CUDAError) {
        guard bytes > 0 else { return }
        try library.check(library.api.cuMemcpyDtoHAsync(host, device, bytes, handle), "cuMemcpyDtoHAsync")
    }

    /// On the device.
    func copy(_ bytes: Int, from source: CUdeviceptr, to target: CUdeviceptr) throws(CUDAError) {
        guard bytes > 0 else { return }
        try library.check(library.api.cuMemcpyDtoDAsync(target, source, bytes, handle), "cuMemcpyDtoDAsync")
    }
}
