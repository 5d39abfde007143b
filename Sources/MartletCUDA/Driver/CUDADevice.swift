import CCUDA

/// One GPU and its primary context, held as long as this lives.
package final class CUDADevice {
    package let library: CUDALibrary
    package let description: CUDADevices.Description
    package var architecture: Int { description.architecture }
    package let multiprocessorCount: Int
    let handle: CUdevice
    let context: CUcontext

    /// The device of this number among the visible ones. Throws `CUDAError`.
    package init(_ ordinal: Int, of library: CUDALibrary) throws(CUDAError) {
        description = try CUDADevices.description(ordinal, of: library)
        guard description.isSupported else {
            throw .deviceTooOld(name: description.name, major: description.major, minor: description.minor)
        }
        self.library = library
        handle = try library.device(ordinal)
        multiprocessorCount = try library.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, of: handle)
        var context: CUcontext?
        try library.check(library.api.cuDevicePrimaryCtxRetain(&context, handle), "cuDevicePrimaryCtxRetain")
        guard let context else { throw .failed(call: "cuDevicePrimaryCtxRetain", code: 0, name: "no context") }
        self.context = context
    }

    deinit { _ = library.api.cuDevicePrimaryCtxRelease(handle) }

    /// What follows on this thread is meant for this device.
    func makeCurrent() throws(CUDAError) {
        try library.check(library.api.cuCtxSetCurrent(context), "cuCtxSetCurrent")
    }

    /// 16 bytes that no other GPU has, of whatever machine.
    func identity() throws(CUDAError) -> [UInt8] {
        var uuid = CUuuid()
        try library.check(library.api.cuDeviceGetUuid(&uuid, handle), "cuDeviceGetUuid")
        return withUnsafeBytes(of: &uuid) { Array($0) }
    }

    /// In bytes, of everybody's.
    package func memory() throws(CUDAError) -> (free: Int, total: Int) {
        try makeCurrent()
        var free = 0, total = 0
        try library.check(library.api.cuMemGetInfo(&free, &total), "cuMemGetInfo")
        return (free, total)
    }
}
