import NIOCore
import NIOHTTP1
import NIOPosix

/// Fetches pictures behind http(s) URLs from hosts of the allow list; the only type of Martlet that asks another
/// server for anything. For the URL and again for every redirect: the form is checked, then the host against the list,
/// then it is resolved once and every answer has to be public, and one of those very addresses is dialled.
struct MediaFetcher: Sendable {
    /// Entries as `MediaURL.allowListEntry` gives them; empty = fetch nothing.
    let allowedHosts: Set<String>
    /// For the whole of a fetch: lookups, connections, redirects, body.
    let seconds: Double
    let maxRedirects: Int
    private let resolver: any HostResolver
    private let dialler: any Dialler
    private let tls: TLSClient

    /// Addresses of a host that are tried.
    static let maxAttempts = 4
    /// Of a response's header fields.
    static let maxHeaderBytes = 16 << 10

    init(
        allowedHosts: Set<String>, seconds: Double = 5, maxRedirects: Int = 3,
        resolver: any HostResolver = SystemResolver(), dialler: any Dialler = TCPDialler(), tls: TLSClient = TLSClient()
    ) {
        self.allowedHosts = allowedHosts
        self.seconds = seconds
        self.maxRedirects = maxRedirects
        self.resolver = resolver
        self.dialler = dialler
        self.tls = tls
    }

    init(_ configuration: ServerConfiguration) {
        self.init(
            allowedHosts: configuration.allowedMediaHosts, seconds: configuration.fetchSeconds,
            maxRedirects: configuration.fetchRedirects)
    }

    /// The body behind `text`, at most `limit` bytes.
    func bytes(of text: String, limit: Int) async throws(FetchError) -> [UInt8] {
        guard !allowedHosts.isEmpty else { throw .off }
        let deadline = NIODeadline.now() + .nanoseconds(Int64(seconds * 1e9))
        var url = try MediaURL(text)
        var redirects = 0
        while true {
            switch try await response(url, limit: limit, until: deadline) {
            case .image(let bytes): return bytes
            case .redirect(let location):
                guard redirects < maxRedirects else {
                    throw .redirect(maxRedirects == 0 ? "redirects are off" : "more than \(maxRedirects) in a row")
                }
                redirects += 1
                url = try url.redirected(to: location)
            }
        }
    }

    private func response(
        _ url: MediaURL, limit: Int, until deadline: NIODeadline
    ) async throws(FetchError) -> FetchedResponse {
        let addresses = try await publicAddresses(of: url, until: deadline)
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let promise = loop.makePromise(of: FetchedResponse.self)
        let timer = loop.scheduleTask(deadline: deadline) { promise.fail(FetchError.timeout) }
        defer { timer.cancel() }
        do {
            let channel = try await connect(url, addresses, until: deadline) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try prepare(channel, for: url, limit: limit, promise: promise)
                }
            }
            defer { channel.close(promise: nil) }
            return try await withTaskCancellationHandler {
                try await promise.futureResult.get()
            } onCancel: {
                channel.close(promise: nil)
            }
        } catch {
            let failure = (error as? FetchError) ?? .unreachable
            promise.fail(failure)
            throw failure
        }
    }

    /// Throws before anything is asked of anyone, where it can.
    private func publicAddresses(
        of url: MediaURL, until deadline: NIODeadline
    ) async throws(FetchError) -> [IPAddress] {
        if case .address(let address) = url.host, !address.isPublic { throw .notPublic }
        guard url.isAllowed(by: allowedHosts) else { throw .hostNotAllowed }
        let addresses =
            switch url.host {
            case .address(let address): [address]
            case .name(let name): try await resolver.addresses(of: name, until: deadline)
            }
        guard !addresses.isEmpty else { throw .unknownHost }
        guard addresses.allSatisfy(\.isPublic) else { throw .notPublic }
        return addresses
    }

    /// The first of `addresses` that answers; each gets its share of the time that is left.
    private func connect(
        _ url: MediaURL, _ addresses: [IPAddress], until deadline: NIODeadline,
        prepare: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws -> any Channel {
        let tried = addresses.prefix(Self.maxAttempts)
        for (index, address) in tried.enumerated() {
            let now = NIODeadline.now()
            guard now < deadline, !Task.isCancelled else { throw FetchError.timeout }
            let share = (deadline - now).nanoseconds / Int64(tried.count - index)
            do {
                return try await dialler.dial(
                    address, port: url.port, until: now + .nanoseconds(share), prepare: prepare)
            } catch let error as FetchError { throw error } catch { continue }
        }
        throw NIODeadline.now() < deadline ? FetchError.unreachable : .timeout
    }

    private func prepare(
        _ channel: any Channel, for url: MediaURL, limit: Int, promise: EventLoopPromise<FetchedResponse>
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        if url.scheme == .https { try pipeline.addHandler(tls.handler(for: url.host)) }
        try pipeline.addHandler(HTTPRequestEncoder())
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = Self.maxHeaderBytes
        limits.maxHeaderListSize = Self.maxHeaderBytes
        try pipeline.addHandler(ByteToMessageHandler(HTTPResponseDecoder(limitConfiguration: limits)))
        // No Accept-Encoding: what is compressed twice is not wanted.
        let headers = HTTPHeaders([
            ("Host", url.authority), ("User-Agent", "martlet/\(MartletVersion.number)"),
            ("Accept", "image/png, image/jpeg, image/webp"), ("Connection", "close"),
        ])
        let request = HTTPRequestHead(version: .http1_1, method: .GET, uri: url.target, headers: headers)
        try pipeline.addHandler(FetchHandler(request: request, limit: limit, promise: promise))
    }
}
