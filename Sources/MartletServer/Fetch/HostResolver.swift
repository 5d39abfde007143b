import Dispatch
import Foundation
import NIOCore
import NIOPosix
import Synchronization

/// Names to addresses, for `MediaFetcher`.
protocol HostResolver: Sendable {
    /// All addresses of `name`, in the order to try. Throws `unknownHost` or `timeout`.
    func addresses(of name: String, until deadline: NIODeadline) async throws(FetchError) -> [IPAddress]
}

/// Asks the system (`getaddrinfo`) on threads of its own. A lookup cannot be ended, only left behind: `maxLookups` at
/// once, those left behind included.
final class SystemResolver: HostResolver {
    static let maxLookups = 16
    private let running = Mutex(0)
    private let queue = DispatchQueue(label: "martlet.resolver", attributes: .concurrent)

    func addresses(of name: String, until deadline: NIODeadline) async throws(FetchError) -> [IPAddress] {
        let isFree = running.withLock { count in
            guard count < Self.maxLookups else { return false }
            count += 1
            return true
        }
        guard isFree else { throw .unknownHost }
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let promise = loop.makePromise(of: [IPAddress].self)
        let timer = loop.scheduleTask(deadline: deadline) { promise.fail(FetchError.timeout) }
        queue.async {
            // The dot at the end keeps the system's search domains out of it.
            let addresses = Self.lookUp(name + ".")
            self.running.withLock { $0 -= 1 }
            promise.succeed(addresses)
        }
        defer { timer.cancel() }
        do {
            let addresses = try await promise.futureResult.get()
            guard !addresses.isEmpty else { throw FetchError.unknownHost }
            return addresses
        } catch { throw (error as? FetchError) ?? .unknownHost }
    }

    /// Blocking; empty if there are none.
    static func lookUp(_ name: String) -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var addresses: [IPAddress] = []
        var next = list
        while let entry = next?.pointee {
            if let address = address(entry), !addresses.contains(address) { addresses.append(address) }
            next = entry.ai_next
        }
        return addresses
    }

    private static func address(_ entry: addrinfo) -> IPAddress? {
        guard let pointer = UnsafeRawPointer(entry.ai_addr) else { return nil }
        switch entry.ai_family {
        case AF_INET where Int(entry.ai_addrlen) >= MemoryLayout<sockaddr_in>.size:
            return withUnsafeBytes(of: pointer.loadUnaligned(as: sockaddr_in.self).sin_addr) {
                IPAddress(bytes: Array($0))
            }
        case AF_INET6 where Int(entry.ai_addrlen) >= MemoryLayout<sockaddr_in6>.size:
            return withUnsafeBytes(of: pointer.loadUnaligned(as: sockaddr_in6.self).sin6_addr) {
                IPAddress(bytes: Array($0))
            }
        default: return nil
        }
    }
}
