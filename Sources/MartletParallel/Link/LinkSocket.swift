import Foundation

/// One end of a TCP connection between ranks, or the place where rank 0 waits for them. Never waits, but for `connect`.
/// Whoever has it closes it.
struct LinkSocket: Sendable {
    let descriptor: Int32

    enum Outcome: Equatable {
        case bytes(Int)
        /// Not now.
        case nothing
        case closed(String)
    }

    /// Listens at `host` on a free port.
    static func listen(host: String) throws(LinkError) -> (LinkSocket, port: Int) {
        var code: Int32 = 0
        for address in try addresses(of: host, port: 0) {
            let descriptor = address.socket()
            guard descriptor >= 0 else { continue }
            if address.use(descriptor, Foundation.bind) == 0, Foundation.listen(descriptor, 128) == 0,
                let port = port(of: descriptor)
            {
                return (LinkSocket(preparing: descriptor), port)
            }
            code = errno
            Foundation.close(descriptor)
        }
        throw LinkError("Rank 0 cannot listen for the other ranks at \(host): \(String(cString: strerror(code)))")
    }

    /// Throws if rank 0 doesn't answer within `seconds`.
    static func connect(host: String, port: Int, seconds: Double) throws(LinkError) -> LinkSocket {
        var reason = "nobody answers"
        for address in try addresses(of: host, port: port) {
            let descriptor = address.socket()
            guard descriptor >= 0 else { continue }
            let link = LinkSocket(preparing: descriptor)
            if address.use(descriptor, Foundation.connect) == 0 { return link }
            var code = errno
            if code == EINPROGRESS {
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                var length = socklen_t(MemoryLayout<Int32>.size)
                if poll(&entry, 1, Int32(seconds * 1000)) == 1 {
                    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
                    if code == 0 { return link }
                } else {
                    code = ETIMEDOUT
                }
            }
            reason = String(cString: strerror(code))
            link.close()
        }
        throw LinkError("Rank 0 cannot be reached at \(host), port \(port): \(reason)")
    }

    private init(preparing descriptor: Int32) {
        self.descriptor = descriptor
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }

    /// The next connection, if there is one.
    func accept() -> LinkSocket? {
        let found = Foundation.accept(descriptor, nil, nil)
        return found >= 0 ? LinkSocket(preparing: found) : nil
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
        let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        return count == 0 ? .closed("its connection was closed") : outcome(count)
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        outcome(Foundation.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL)))
    }

    private func outcome(_ count: Int) -> Outcome {
        if count >= 0 { return .bytes(count) }
        let code = errno
        if code == EAGAIN || code == EWOULDBLOCK || code == EINTR { return .nothing }
        return .closed("its connection failed (\(String(cString: strerror(code))))")
    }

    /// What was written still goes out.
    func shutdown() { _ = Foundation.shutdown(descriptor, Int32(SHUT_RDWR)) }

    func close() { Foundation.close(descriptor) }

    private static func port(of descriptor: Int32) -> Int? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let code = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        // The port stands at the same place in both families' addresses.
        return code == 0
            ? withUnsafeBytes(of: storage) { Int(UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self))) } : nil
    }

    // MARK: Addresses

    private struct Address {
        let family: Int32
        let bytes: [UInt8]

        func socket() -> Int32 { Foundation.socket(family, Int32(SOCK_STREAM.rawValue), 0) }

        func use(_ descriptor: Int32, _ call: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
            bytes.withUnsafeBytes { bytes in
                guard let start = bytes.baseAddress else { return -1 }
                return call(descriptor, start.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
            }
        }
    }

    private static func addresses(of host: String, port: Int) throws(LinkError) -> [Address] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, "\(port)", &hints, &list)
        guard code == 0 else {
            throw LinkError("\(host) is no address of a host: \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(list) }
        var found: [Address] = []
        var next = list
        while let entry = next?.pointee {
            let bytes = UnsafeRawBufferPointer(start: entry.ai_addr, count: Int(entry.ai_addrlen))
            found.append(Address(family: entry.ai_family, bytes: Array(bytes)))
            next = entry.ai_next
        }
        return found
    }
}

/// The rank link cannot come about; says which rank, and why.
package struct LinkError: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
