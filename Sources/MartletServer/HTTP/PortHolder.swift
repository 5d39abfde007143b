import Foundation

/// Looks up in /proc who listens on a port.
enum PortHolder {
    /// `process 1234 (python3)`; nil if nobody is found or it is not ours to see.
    static func find(port: Int) -> String? {
        let inodes = listeners(port: port)
        guard !inodes.isEmpty, let processes = try? FileManager.default.contentsOfDirectory(atPath: "/proc") else {
            return nil
        }
        for process in processes where process.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            let directory = "/proc/\(process)/fd"
            guard let files = try? FileManager.default.contentsOfDirectory(atPath: directory) else { continue }
            for file in files {
                guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/\(file)"),
                    inodes.contains(target)
                else { continue }
                let name = (try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)) ?? ""
                return "process \(process) (\(name.split(separator: "\n").first ?? "unknown"))"
            }
        }
        return nil
    }

    /// `socket:[INODE]` of every listening socket on `port`.
    private static func listeners(port: Int) -> Set<String> {
        var inodes: Set<String> = []
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            guard let text = try? String(contentsOfFile: table, encoding: .utf8) else { continue }
            for line in text.split(separator: "\n").dropFirst() {
                let fields = line.split(separator: " ")
                guard fields.count > 9, fields[3] == "0A", let local = fields[1].split(separator: ":").last,
                    Int(local, radix: 16) == port
                else { continue }
                inodes.insert("socket:[\(fields[9])]")
            }
        }
        return inodes
    }
}
