import NIOCore
import NIOHTTP1
import NIOSSL

/// The end of a fetch's connection: sends one request, keeps `promise` with the response, closes. Leaves the promise
/// alone if the connection never came to be.
final class FetchHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let request: HTTPRequestHead
    private var intake: ResponseIntake
    private let promise: EventLoopPromise<FetchedResponse>
    private var isActive = false
    private var isDone = false

    init(request: HTTPRequestHead, limit: Int, promise: EventLoopPromise<FetchedResponse>) {
        self.request = request
        intake = ResponseIntake(limit: limit)
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        isActive = true
        context.write(wrapOutboundOut(.head(request)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDone else { return }
        do throws(FetchError) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                if let response = try intake.head(head) { finish(.success(response), context) }
            case .body(let piece): try intake.body(piece)
            case .end: finish(.success(intake.end()), context)
            }
        } catch { finish(.failure(error), context) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(.failure(.brokenResponse), context)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let isOfTLS = error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError
        finish(.failure(isOfTLS ? .insecure : .brokenResponse), context)
    }

    private func finish(_ result: Result<FetchedResponse, FetchError>, _ context: ChannelHandlerContext) {
        // A connection that never was is the dialler's to tell; the next address may do better.
        guard isActive, !isDone else { return }
        isDone = true
        switch result {
        case .success(let response): promise.succeed(response)
        case .failure(let error): promise.fail(error)
        }
        context.close(promise: nil)
    }
}
