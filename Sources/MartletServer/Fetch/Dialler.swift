import NIOCore
import NIOPosix

/// Connections for `MediaFetcher`.
protocol Dialler: Sendable {
    /// Connects to exactly `address`. `prepare` puts the handlers in before anything flows.
    func dial(
        _ address: IPAddress, port: Int, until deadline: NIODeadline,
        prepare: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws -> any Channel
}

/// TCP. The only place of Martlet that connects to anything.
struct TCPDialler: Dialler {
    func dial(
        _ address: IPAddress, port: Int, until deadline: NIODeadline,
        prepare: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws -> any Channel {
        // An address that was not checked does not get this far; the check costs nothing.
        guard address.isPublic else { throw FetchError.notPublic }
        let left = deadline - NIODeadline.now()
        guard left > .nanoseconds(0) else { throw FetchError.timeout }
        return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(left)
            .channelInitializer(prepare)
            .connect(to: try address.socketAddress(port: port)).get()
    }
}
