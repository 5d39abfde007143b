import NIOCore
import NIOSSL
import Synchronization

/// TLS 1.2 or later, with the peer's certificate verified against the system's authorities and the URL's host.
final class TLSClient: Sendable {
    private let roots: NIOSSLTrustRoots
    /// Made once: it reads all authorities of the system.
    private let context = Mutex<NIOSSLContext?>(nil)

    init(roots: NIOSSLTrustRoots = .default) { self.roots = roots }

    /// Throws `insecure` when there is nothing to verify with.
    func handler(for host: MediaURL.Host) throws -> NIOSSLClientHandler {
        // Without a name, the certificate has to be for the address that was dialled.
        let name: String? = if case .name(let name) = host { name } else { nil }
        do { return try NIOSSLClientHandler(context: sharedContext(), serverHostname: name) } catch {
            throw FetchError.insecure
        }
    }

    private func sharedContext() throws -> NIOSSLContext {
        try context.withLock { context in
            if let context { return context }
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.certificateVerification = .fullVerification
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            configuration.trustRoots = roots
            let made = try NIOSSLContext(configuration: configuration)
            context = made
            return made
        }
    }
}
