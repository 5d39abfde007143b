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
