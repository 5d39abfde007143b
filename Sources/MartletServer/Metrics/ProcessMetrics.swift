import Foundation

/// The standard `process_*` family, from /proc; nothing where there is none.
enum ProcessMetrics {
    static func write(into page: inout PrometheusWriter) {
        guard let stat = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let end = stat.lastIndex(of: ")")
        else { return }
        // Fields after the command, which may hold anything: state is the third.
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 21, let user = Double(fields[11]), let system = Double(fields[12]),
            let start = Double(fields[19]), let virtual = Double(fields[20]), let resident = Double(fields[21])
        else { return }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        page.counter(
            "process_cpu_seconds", "Total user and system CPU time spent in seconds.", [([], (user + system) / ticks)])
        page.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", [([], virtual)])
        page.gauge(
            "process_resident_memory_bytes", "Resident memory size in bytes.",
            [([], resident * Double(sysconf(Int32(_SC_PAGESIZE))))])
        if let boot = bootTime() {
            page.gauge(
                "process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
                [([], boot + start / ticks)])
        }
        if let open = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count {
            page.gauge("process_open_fds", "Number of open file descriptors.", [([], Double(open))])
        }
    }

    private static func bootTime() -> Double? {
        guard let stat = try? String(contentsOfFile: "/proc/stat", encoding: .utf8) else { return nil }
        let line = stat.split(separator: "\n").first { $0.hasPrefix("btime ") }
        return line.flatMap { Double($0.dropFirst("btime ".count)) }
    }
}
