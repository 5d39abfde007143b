import Hummingbird
import NIOCore

/// What Hummingbird knows of a request beside itself: its connection.
package struct ServerContext: InitializableFromSource, Sendable {
    let channel: any Channel
    /// The connection was open when the request came; false only where a test has no connection.
    let wasActive: Bool

    package init(source: ApplicationRequestContextSource) {
        channel = source.channel
        wasActive = source.channel.isActive
    }

    /// What streams to the client runs here; nil = anywhere, where there is no connection.
    var executor: EventLoopExecutor? { wasActive ? EventLoopExecutor(channel.eventLoop) : nil }

    /// `IP:PORT` of the client, for the access line.
    var peer: String {
        guard let address = channel.remoteAddress, let host = address.ipAddress, let port = address.port else {
            return "-"
        }
        return "\(host):\(port)"
    }

    /// Calls `onGone` when the client hangs up while `body` runs; at once if it already has.
    func watchingConnection<Value: Sendable>(
        onGone: @escaping @Sendable () -> Void, _ body: () async throws(APIError) -> Value
    ) async throws(APIError) -> Value {
        guard wasActive else { return try await body() }
        guard let watch = await connectionWatch() else {
            onGone()
            return try await body()
        }
        watch.begin(onGone)
        defer { watch.end() }
        return try await body()
    }

    /// nil = the connection is closed.
    func connectionWatch() async -> ConnectionWatch? {
        guard channel.isActive else { return nil }
        return try? await channel.pipeline.handler(type: ConnectionWatch.self).get()
    }
}
