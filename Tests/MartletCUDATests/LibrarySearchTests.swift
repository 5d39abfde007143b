import CCUDA
import Foundation
import Testing

/// That what is missing is told apart, with its name. The libraries are made here, of functions that do nothing, by the
/// toolchain's own compiler.
@Suite final class LibrarySearchTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cuda-\(UUID())")

    init() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try #require(dlopen("libcuda.so.1", RTLD_NOW) == nil, "a driver of this machine's own would be found first")
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// Below the folder, where a package of NVIDIA's would put it.
    private func make(_ name: String, in path: String = "", _ functions: [String], version: Int = 0) throws {
        let target = folder.appendingPathComponent(path), source = folder.appendingPathComponent("\(name).c")
        try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
        let code = functions.map {
            $0 == "cuDriverGetVersion"
                ? "int \($0)(int *version) { *version = \(version); return 0; }" : "int \($0)(void) { return 0; }"
        }
        try code.joined(separator: "\n").write(to: source, atomically: true, encoding: .utf8)
        let compiler = Process()
        compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        compiler.arguments = [
            "clang", "-shared", "-fPIC", "-fuse-ld=lld", source.path, "-o", target.appendingPathComponent(name).path,
        ]
        try compiler.run()
        compiler.waitUntilExit()
        try #require(compiler.terminationStatus == 0)
    }

    /// What a header's list looks for: the symbols of the driver's, the names of the others'.
    private func symbols(_ header: String) throws -> [String] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let file = root.deletingLastPathComponent().appendingPathComponent("Sources/CCUDA/include/\(header)")
        let text = try String(contentsOf: file, encoding: .utf8)
        let found = text.matches(of: /F\([\w *]+?, (\w+),/).map { String($0.output.1) }.filter { $0 != "symbol" }
        #expect(found.count > 10)
        return found.filter { $0 != "name" }
    }

    private func makeDriver(_ version: Int, without missing: String = "") throws {
        try make("libcuda.so.1", symbols("CUDADriver.h").filter { $0 != missing }, version: version)
    }

    private func search() -> (result: martlet_cuda_search, detail: String, table: martlet_cuda) {
        var table = martlet_cuda(), detail = [CChar](repeating: 0, count: 1024)
        let result = folder.path.withCString { path in
            let folders: [UnsafePointer<CChar>] = [path]
            return martlet_cuda_load(folders, 1, &table, &detail, detail.count)
        }
        let words = detail.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return (result, String(decoding: words, as: UTF8.self), table)
    }

    @Test func noDriver() {
        let found = search()
        #expect(found.result == MARTLET_CUDA_NO_DRIVER)
        #expect(found.detail.contains("libcuda.so.1"))
    }

    @Test func anOldDriver() throws {
        try makeDriver(12010)
        let found = search()
        #expect(found.result == MARTLET_CUDA_DRIVER_TOO_OLD)
        #expect(found.detail == "12.1")
    }

    @Test func aDriverThatLacksAFunction() throws {
        try makeDriver(12020, without: "cuGraphLaunch")
        let found = search()
        #expect(found.result == MARTLET_CUDA_NO_SYMBOL)
        #expect(found.detail == "cuGraphLaunch")
    }

    /// Libraries of CUDA 13 are no use to a driver that knows only 12.
    @Test func librariesOneByOne() throws {
        try makeDriver(12040)
        try make("libnvrtc.so.13", in: "nvidia/cu13/lib", symbols("NVRTC.h"))
        #expect(search().result == MARTLET_CUDA_NO_NVRTC)
        try make("libnvrtc.so.12", in: "nvidia/cuda_nvrtc/lib", symbols("NVRTC.h"))
        let found = search()
        #expect(found.result == MARTLET_CUDA_NO_CUBLASLT)
        #expect(found.detail.contains("libcublasLt.so.12"))
        try make("libcublasLt.so.12", in: "nvidia/cublas/lib", symbols("CUBLASLt.h"))
        var whole = search()
        #expect(whole.result == MARTLET_CUDA_FOUND)
        #expect(whole.table.driver_version == 12040 && whole.table.has_nccl == 0)
        try make("libnccl.so.2", in: "nvidia/nccl/lib", symbols("NCCL.h"))
        whole = search()
        #expect(whole.result == MARTLET_CUDA_FOUND && whole.table.has_nccl == 1)
        #expect(whole.table.nccl.ncclGroupStart() == ncclSuccess)
    }

    @Test func librariesOfCUDA13() throws {
        try makeDriver(13000)
        try make("libnvrtc.so.13", in: "nvidia/cu13/lib", symbols("NVRTC.h"))
        try make("libcublasLt.so.13", in: "nvidia/cu13/lib", symbols("CUBLASLt.h"))
        #expect(search().result == MARTLET_CUDA_FOUND)
    }
}
