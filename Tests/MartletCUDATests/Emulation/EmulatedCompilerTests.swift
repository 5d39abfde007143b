import CCUDA
import CUDAEmulation
import Foundation
import Testing

/// That NVRTC is given just the sources that this program carries, with all that they include.
@Suite struct EmulatedCompilerTests {
    private func compile(
        _ source: String, named name: String, headers: [(String, String)] = [], for architecture: Int = 89,
        on device: EmulatedDevice
    ) throws -> (nvrtcResult, image: [CChar], log: String) {
        let nvrtc = device.cuda.nvrtc
        var program: nvrtcProgram?
        let texts = headers.map { strdup($0.1) }, names = headers.map { strdup($0.0) }
        defer { for text in texts + names { free(text) } }
        let made = nvrtc.nvrtcCreateProgram(
            &program, source, name, Int32(headers.count), texts.map { UnsafePointer($0) },
            names.map { UnsafePointer($0) })
        #expect(made == NVRTC_SUCCESS)
        let compiled = try #require(program)
        let option = strdup("--gpu-architecture=sm_\(architecture)")
        defer { free(option) }
        let result = nvrtc.nvrtcCompileProgram(compiled, 1, [UnsafePointer(option)])
        var bytes = 0, logBytes = 0
        _ = nvrtc.nvrtcGetCUBINSize(compiled, &bytes)
        _ = nvrtc.nvrtcGetProgramLogSize(compiled, &logBytes)
        var image = [CChar](repeating: 0, count: bytes), log = [CChar](repeating: 0, count: logBytes)
        _ = nvrtc.nvrtcGetCUBIN(compiled, &image)
        _ = nvrtc.nvrtcGetProgramLog(compiled, &log)
        #expect(nvrtc.nvrtcDestroyProgram(&program) == NVRTC_SUCCESS)
        return (result, image, String(decoding: log.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self))
    }

    /// Every file that the program carries.
    static var sources: [(name: String, text: String)] {
        var count = 0
        let sources = martlet_cuda_sources(&count)
        return (0..<count).map { (String(cString: sources[$0].name), String(cString: sources[$0].text)) }
    }

    @Test func everyFileHasItsKernels() throws {
        let device = try EmulatedDevice()
        let headers = Self.sources.filter { !$0.name.hasSuffix(".cu") }
        for source in Self.sources where source.name.hasSuffix(".cu") {
            let (result, image, log) = try compile(source.text, named: source.name, headers: headers, on: device)
            #expect(result == NVRTC_SUCCESS, "\(source.name): \(log)")
            var module: CUmodule?
            #expect(device.driver.cuModuleLoadData(&module, image) == CUDA_SUCCESS)
            let loaded = try #require(module)
            // Those that are not put together by the file's own macros.
            for name in source.text.matches(of: /KERNEL\((\w+),/).map({ String($0.output.1) }) {
                var function: CUfunction?
                #expect(device.driver.cuModuleGetFunction(&function, loaded, name) == CUDA_SUCCESS, "\(name)")
            }
            #expect(device.driver.cuModuleUnload(loaded) == CUDA_SUCCESS)
        }
        #expect(device.close() == [])
    }

    @Test func aHeaderThatIsNotGivenIsMissed() throws {
        let device = try EmulatedDevice()
        let (result, _, log) = try compile("#include \"device.cuh\"\n", named: "probes.cu", on: device)
        #expect(result == NVRTC_ERROR_COMPILATION)
        #expect(log == "cannot open source file \"device.cuh\"\n")
        #expect(device.close() == [])
    }

    @Test func anImageIsForOneArchitecture() throws {
        let device = try EmulatedDevice()
        let (result, image, _) = try compile("", named: "probes.cu", for: 80, on: device)
        #expect(result == NVRTC_SUCCESS)
        var module: CUmodule?
        #expect(device.driver.cuModuleLoadData(&module, image) == CUDA_ERROR_NO_BINARY_FOR_GPU)
        #expect(device.driver.cuModuleLoadData(&module, "ELF") == CUDA_ERROR_INVALID_IMAGE)
        #expect(try compile("", named: "probes.cu", for: 75, on: device).0 == NVRTC_ERROR_INVALID_OPTION)
        #expect(device.close() == [])
    }

    @Test func aCompileErrorCanBePlanted() throws {
        let device = try EmulatedDevice()
        let code = Int32(NVRTC_ERROR_COMPILATION.rawValue)
        #expect(martlet_emulation_plant(device.emulation, "nvrtcCompileProgram", 1, code) == 1)
        #expect(try compile("", named: "probes.cu", on: device).0 == NVRTC_ERROR_COMPILATION)
        #expect(device.close() == [])
    }
}
