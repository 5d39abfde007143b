import Foundation

/// Memory this process may still take, as the kernel and the cgroup see it.
struct HostMemory: Equatable {
    /// In bytes.
    let available: Int
    let total: Int

    /// Reads /proc/meminfo and the cgroup's limit; nil where there is neither.
    static func read(root: String = "/") -> HostMemory? {
        func text(_ path: String) -> String? { try? String(contentsOfFile: root + path, encoding: .utf8) }
        guard let meminfo = text("proc/meminfo"), let available = field("MemAvailable", in: meminfo),
            let total = field("MemTotal", in: meminfo)
        else { return nil }
        let limit = text("sys/fs/cgroup/memory.max").flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        let used = text("sys/fs/cgroup/memory.current").flatMap {
            Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        guard let limit, let used, limit < total else { return HostMemory(available: available, total: total) }
        return HostMemory(available: min(available, max(0, limit - used)), total: limit)
    }

    /// A field of meminfo, which counts in kB.
    private static func field(_ name: String, in meminfo: String) -> Int? {
        for line in meminfo.split(separator: "\n") where line.hasPrefix(name + ":") {
            let number = line.dropFirst(name.count + 1).split(separator: " ").first
            return number.flatMap { Int($0) }.map { $0 * 1024 }
        }
        return nil
    }
}
