import CCUDA
import Foundation
import MartletCPU
import MartletCore
import Synchronization

/// Kernels as devices take them: compiled by NVRTC for the architecture at hand, and kept on disk for the next start.
package struct KernelCache: Sendable {
    /// nil: nothing is kept.
    private let directory: String?

    /// `directory`: nil = nothing is kept.
    package init(directory: String? = nil) { self.directory = directory }

    /// In the user's folder for such things; nothing is kept where there is none. `environment`: XDG_CACHE_HOME and
    /// HOME are read.
    package init(environment: [String: String]) {
        let caches = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        directory = (caches ?? environment["HOME"].map { $0 + "/.cache" }).map { $0 + "/martlet/kernels" }
    }

    /// Contracted sums would differ from the CPU's bits.
    private static let options = ["--std=c++17", "--fmad=false"]

    /// The cubin of every file; compiled on the threads of `pool` where they are not kept. Throws `CUDAError`.
    func images(for device: CUDADevice, pool: ThreadPool) throws -> [[UInt8]] {
        let sources = KernelSource.all
        let files = sources.filter { $0.name.hasSuffix(".cu") }
        let headers = sources.filter { !$0.name.hasSuffix(".cu") }
        let version = try device.library.compilerVersion()
        let images = Mutex([[UInt8]](repeating: [], count: files.count))
        try pool.parallelThrowing(files.count) { index in
            let options = Self.options + ["--gpu-architecture=sm_\(device.architecture)"]
            let key = Self.key([files[index]] + headers, options: options, version: version)
            let kept = directory.map { "\($0)/\(key).cubin" }
            var image = kept.flatMap { FileManager.default.contents(atPath: $0) }.map { [UInt8]($0) } ?? []
            if image.isEmpty {
                image = try device.library.compile(files[index], headers: headers, options: options)
                if let kept { Self.keep(image, at: kept) }
            }
            images.withLock { $0[index] = image }
        }
        return images.withLock { $0 }
    }

    /// What an image depends on.
    private static func key(_ sources: [KernelSource], options: [String], version: String) -> Digest {
        var hasher = DigestHasher()
        for text in [version] + options + sources.flatMap({ [$0.name, $0.text] }) {
            hasher.update(UInt64(text.utf8.count))
            hasher.update(text.utf8)
        }
        return hasher.finish()
    }

    /// Whole or not at all. A disk that is full or not to be written to costs the time of the next start only.
    private static func keep(_ image: [UInt8], at path: String) {
        let file = URL(fileURLWithPath: path)
        try? FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try? Data(image).write(to: file, options: .atomic)
    }
}

/// A file of kernels in their language.
struct KernelSource: Sendable {
    let name, text: String

    static var all: [KernelSource] {
        var count = 0
        let sources = martlet_cuda_sources(&count)
        return (0..<count).map {
            KernelSource(name: String(cString: sources[$0].name), text: String(cString: sources[$0].text))
        }
    }
}

extension CUDALibrary {
    fileprivate func compilerVersion() throws(CUDAError) -> String {
        var major: Int32 = 0, minor: Int32 = 0
        try check(nvrtc.nvrtcVersion(&major, &minor), "nvrtcVersion")
        return "NVRTC \(major).\(minor)"
    }

    fileprivate func compile(
        _ source: KernelSource, headers: [KernelSource], options: [String]
    ) throws(CUDAError) -> [UInt8] {
        var program: nvrtcProgram?
        let created = Self.withPointers(to: headers.map { Array($0.text.utf8CString) }) { texts in
            Self.withPointers(to: headers.map { Array($0.name.utf8CString) }) { names in
                texts.withMemoryRebound(to: UnsafePointer<CChar>?.self) { texts in
                    names.withMemoryRebound(to: UnsafePointer<CChar>?.self) { names in
                        nvrtc.nvrtcCreateProgram(
                            &program, source.text, source.name, Int32(headers.count), texts.baseAddress,
                            names.baseAddress)
                    }
                }
            }
        }
        try check(created, "nvrtcCreateProgram")
        guard let made = program else { throw .failed(call: "nvrtcCreateProgram", code: 0, name: "no program") }
        defer { _ = nvrtc.nvrtcDestroyProgram(&program) }
        let compiled = Self.withPointers(to: options.map { Array($0.utf8CString) }) { options in
            options.withMemoryRebound(to: UnsafePointer<CChar>?.self) {
                nvrtc.nvrtcCompileProgram(made, Int32($0.count), $0.baseAddress)
            }
        }
        if compiled == NVRTC_ERROR_COMPILATION {
            throw .compilation(file: source.name, log: log(of: made))
        }
        try check(compiled, "nvrtcCompileProgram(\(source.name))")
        var count = 0
        try check(nvrtc.nvrtcGetCUBINSize(made, &count), "nvrtcGetCUBINSize")
        var image = [CChar](repeating: 0, count: count)
        try check(nvrtc.nvrtcGetCUBIN(made, &image), "nvrtcGetCUBIN")
        return image.map { UInt8(bitPattern: $0) }
    }

    private func log(of program: nvrtcProgram) -> String {
        var count = 0
        guard nvrtc.nvrtcGetProgramLogSize(program, &count) == NVRTC_SUCCESS, count > 0 else { return "no log" }
        var log = [CChar](repeating: 0, count: count)
        guard nvrtc.nvrtcGetProgramLog(program, &log) == NVRTC_SUCCESS else { return "no log" }
        return String(decoding: log.lazy.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
