import NIOCore
import Synchronization

/// Sits in every connection's pipeline and notices what handlers that only write cannot: the client hung up, or has
/// stopped reading.
///
/// Clients of streams that go away send a FIN; under half-closure that is an event, not yet a closed channel. While a
/// generation runs it means "gone" and the channel is closed; otherwise the response that is under way goes out.
final class ConnectionWatch: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    typealias InboundIn = Never

    private struct State {
        var onGone: (@Sendable () -> Void)?
        var isGone = false
        var stall: Scheduled<Void>?
    }

    private let state = Mutex(State())
    private let stalledWriteSeconds: Int

    init(stalledWriteSeconds: Int) { self.stalledWriteSeconds = stalledWriteSeconds }

    /// A generation runs on this connection from now to `end`.
    func begin(_ onGone: @escaping @Sendable () -> Void) {
        let isGone = state.withLock { state in
            state.onGone = onGone
            return state.isGone
        }
        if isGone { onGone() }
    }

    func end() { state.withLock { $0.onGone = nil } }

    /// True if a generation was told.
    private func tell() -> Bool {
        let onGone = state.withLock { state in
            state.isGone = true
            state.stall?.cancel()
            state.stall = nil
            return state.onGone
        }
        onGone?()
        return onGone != nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent, tell() { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        _ = tell()
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        _ = tell()
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        let channel = context.channel
        let isWritable = channel.isWritable
        state.withLock { state in
            state.stall?.cancel()
            state.stall =
                isWritable
                ? nil
                : context.eventLoop.scheduleTask(in: .seconds(Int64(stalledWriteSeconds))) {
                    channel.close(promise: nil)
                }
        }
        context.fireChannelWritabilityChanged()
    }
}
