import MartletParallel

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension ThreadPool {
    /// Threads that can run at once: the smaller of the affinity mask and the cgroups' CPU quota, at least 1.
    package static func defaultThreadCount() -> Int {
        #if os(Linux)
        return max(1, min(affinityCount() ?? onlineCount(), quotaCount() ?? .max))
        #else
        return max(1, onlineCount())
        #endif
    }

    private static func onlineCount() -> Int { Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    #if os(Linux)
    private static func affinityCount() -> Int? {
        let count = ThreadAffinity.processors().count
        return count > 0 ? count : nil
    }

    /// The least quota from this process's cgroup up to the root, in whole CPUs rounded down.
    private static func quotaCount() -> Int? {
        guard let membership = firstLines("/proc/self/cgroup") else { return nil }
        var least: Int?
        // Version 2 has one hierarchy, "0::/path"; in a container the path is that of the container's own root.
        for line in membership.split(separator: "\n") where line.hasPrefix("0::") {
            var path = line.dropFirst(3)
            while true {
                let file = "/sys/fs/cgroup\(path == "/" ? "" : path)/cpu.max"
                if let quota = firstLines(file).flatMap(wholeCPUs(cpuMax:)) { least = min(least ?? quota, quota) }
                guard let slash = path.lastIndex(of: "/"), !path.isEmpty else { break }
                path = path[..<slash]
            }
        }
        let quota = firstLines("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
        let period = firstLines("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
        if let quota, let period, let old = wholeCPUs(cpuMax: "\(quota.filter { $0 != "\n" }) \(period)") {
            least = min(least ?? old, old)
        }
        return least
    }

    /// "quota period" in microseconds; nil for "max" and "-1", which mean no limit.
    static func wholeCPUs(cpuMax text: String) -> Int? {
        let fields = text.split { $0 == " " || $0 == "\n" }
        guard fields.count >= 2, let quota = Int(fields[0]), let period = Int(fields[1]), quota > 0, period > 0 else {
            return nil
        }
        return max(1, quota / period)
    }

    /// The first 4 KiB of a small file of the kernel's.
    private static func firstLines(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let bytes = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            count = max(0, read(descriptor, buffer.baseAddress, buffer.count))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
    #endif
}
