import Foundation
import MartletServer

/// Whether an address can be listened on: asked before a model is loaded for minutes.
enum PortCheck {
    /// Throws `ServerStartError` if not. Names that do not resolve are left to the server to report.
    static func run(host: String, port: Int) throws(ServerStartError) {
        guard port > 0 else { return }
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(port)", &hints, &list) == 0, let address = list else { return }
        defer { freeaddrinfo(list) }
        let descriptor = socket(address.pointee.ai_family, address.pointee.ai_socktype, 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        // Linux lets two sockets bind with SO_REUSEADDR as long as none listens: so listen.
        guard bind(descriptor, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0, listen(descriptor, 1) == 0
        else {
            let code = errno
            throw ServerStartError(code: code, reason: String(cString: strerror(code)), host: host, port: port)
        }
    }
}
