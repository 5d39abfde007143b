import CCUDA

/// The GPUs that the driver shows: all, or those of CUDA_VISIBLE_DEVICES.
package enum CUDADevices {
    /// What is known of a GPU before it is used.
    package struct Description: Sendable, Equatable {
        /// Its number among the visible ones.
        package let ordinal: Int
        package let name: String
        /// In bytes.
        package let memory: Int
        /// Of the compute capability.
        package let major, minor: Int

        /// What programs are compiled for: 89 for compute capability 8.9.
        package var architecture: Int { major * 10 + minor }
        /// From sm_80 on there are the asynchronous copies and the bf16 products that the kernels are made of.
        package var isSupported: Bool { major >= 8 }
    }

    /// In order; empty where there is none. Throws `CUDAError` where the driver doesn't answer.
    package static func visible(_ library: CUDALibrary) throws(CUDAError) -> [Description] {
        var count: Int32 = 0
        try library.check(library.api.cuDeviceGetCount(&count), "cuDeviceGetCount")
        var found: [Description] = []
        for ordinal in 0..<Int(count) { found.append(try description(ordinal, of: library)) }
        return found
    }

    static func description(_ ordinal: Int, of library: CUDALibrary) throws(CUDAError) -> Description {
        let device = try library.device(ordinal)
        var name = [CChar](repeating: 0, count: 256), memory = 0
        try library.check(library.api.cuDeviceGetName(&name, Int32(name.count), device), "cuDeviceGetName")
        try library.check(library.api.cuDeviceTotalMem(&memory, device), "cuDeviceTotalMem")
        return Description(
            ordinal: ordinal, name: String(decoding: name.lazy.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self),
            memory: memory,
            major: try library.attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, of: device),
            minor: try library.attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, of: device))
    }
}

extension CUDALibrary {
    /// Throws `noDevice` where there is none of this number.
    func device(_ ordinal: Int) throws(CUDAError) -> CUdevice {
        var count: Int32 = 0
        try check(api.cuDeviceGetCount(&count), "cuDeviceGetCount")
        guard (0..<Int(count)).contains(ordinal) else { throw .noDevice }
        var device = CUdevice()
        try check(api.cuDeviceGet(&device, Int32(ordinal)), "cuDeviceGet")
        return device
    }

    func attribute(_ attribute: CUdevice_attribute, of device: CUdevice) throws(CUDAError) -> Int {
        var value: Int32 = 0
        try check(api.cuDeviceGetAttribute(&value, attribute, device), "cuDeviceGetAttribute")
        return Int(value)
    }
}
