import Foundation
import NIOCore

/// Why the server cannot listen, and what to do about it.
package struct ServerStartError: Error, CustomStringConvertible, Equatable {
    package let description: String

    init(_ error: IOError, host: String, port: Int) {
        self.init(code: error.errnoCode, reason: error.description, host: host, port: port)
    }

    /// `code`: an `errno` of `bind` or `listen`.
    package init(code: Int32, reason: String, host: String, port: Int) {
        switch code {
        case EADDRINUSE:
            let holder = PortHolder.find(port: port).map { " It is held by \($0)." } ?? ""
            description = "Port \(port) on \(host) is already in use.\(holder) Stop that process, or choose another "
                + "port, for example with `--port \(port == 65535 ? 8000 : port + 1)`."
        case EACCES:
            description = "Not allowed to listen on port \(port): ports below 1024 need root. Choose another port, for "
                + "example with `--port 8000`."
        case EADDRNOTAVAIL:
            description = "\(host) is no address of this machine. Use `--host 0.0.0.0` to listen on all of them."
        default:
            description = "Cannot listen on \(host):\(port): \(reason)"
        }
    }
}

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
