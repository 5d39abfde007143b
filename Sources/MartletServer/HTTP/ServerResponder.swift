import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// Answers every request: names it, checks its key, finds its route, turns what is thrown into OpenAI's error body,
/// and accounts for it. Routing and authorisation look at the same bytes of the path, and nothing is normalised.
package struct ServerResponder: HTTPResponder {
    package typealias Context = ServerContext

    let environment: ServerEnvironment
    private let routes: Routes
    private let keys: KeyRing
    private let accessLogger: Logger

    init(environment: ServerEnvironment, accessLogger: Logger) {
        self.environment = environment
        self.accessLogger = accessLogger
        routes = Routes(environment)
        keys = KeyRing(environment.configuration.apiKeys)
    }

    /// For the log at start.
    var routeDescriptions: [String] { routes.descriptions }

    package func respond(to request: Request, context: ServerContext) async throws -> Response {
        let start = ContinuousClock.now
        let exchange = Exchange(request: request, context: context, id: Self.id(of: request))
        let (answer, handler) = await answer(exchange)
        var response = answer
        let configuration = environment.configuration
        if configuration.sendsRequestID { response.headers[.requestID] = exchange.id }
        configuration.cors.decorate(&response, for: request)
        if request.method == .head { response = response.createHeadResponse() }
        if exchange.hasUnreadBody || environment.readiness.phase == .draining {
            response = Self.closing(response, context.channel)
        }
        log(exchange, response)
        return environment.metrics.http.counting(
            response, handler: handler, method: request.method.rawValue, start: start,
            requestBytes: request.headers[.contentLength].flatMap { Int($0) } ?? 0)
    }

    /// The response, and the route's path for metrics ("none" where no route is, so that labels stay few).
    private func answer(_ exchange: Exchange) async -> (Response, handler: String) {
        let request = exchange.request
        if request.method == .options, let preflight = environment.configuration.cors.preflight(request) {
            return (preflight, "preflight")
        }
        do throws(APIError) {
            let match = routes.match(request.method, exchange.path)
            if case .route(let route) = match, route.isOpen { return (try await route.handler(exchange), route.path) }
            guard keys.admits(request.headers[.authorization]) else { throw .unauthorized }
            switch match {
            case .none: throw .notFound(String(exchange.path))
            case .otherMethods(let methods):
                var response = Response.failure(.methodNotAllowed(request.method.rawValue, allowed: methods))
                response.headers[.allow] = methods.joined(separator: ", ")
                return (response, "none")
            case .route(let route):
                do throws(APIError) {
                    return (try await route.handler(exchange), route.path)
                } catch { return (failure(error, exchange), route.path) }
            }
        } catch { return (failure(error, exchange), "none") }
    }

    private func failure(_ error: APIError, _ exchange: Exchange) -> Response {
        if error.status >= 500, error.status != 503 {
            environment.logger.error("request \(exchange.id): \(error.status) \(error.message)")
        } else {
            environment.logger.debug("request \(exchange.id): \(error.status) \(error.message)")
        }
        return .failure(error)
    }

    /// A client's own id if it is harmless, else a random one.
    private static func id(of request: Request) -> String {
        if let id = request.headers[.requestID], RequestLabel.isSane(id) { return id }
        return RequestLabel.random()
    }

    /// The response, after which the connection ends: the rest of an unread body is not worth reading, and the next
    /// request is better sent to a server that stays. The output is closed first, so that the client can read why.
    private static func closing(_ response: Response, _ channel: any Channel) -> Response {
        var closing = response
        closing.headers[.connection] = "close"
        let body = response.body
        closing.body = ResponseBody(contentLength: body.contentLength) { writer in
            try await body.write(writer)
            channel.close(mode: .output, promise: nil)
            channel.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
        }
        return closing
    }

    /// `IP:PORT - "POST /v1/chat/completions HTTP/1.1" 200 OK`
    private func log(_ exchange: Exchange, _ response: Response) {
        let configuration = environment.configuration
        guard configuration.logsAccess, !configuration.quietPaths.contains(String(exchange.path)) else { return }
        let target = APIError.quoted(exchange.request.head.path ?? "")
        accessLogger.info(
            """
            \(exchange.context.peer) - "\(exchange.request.method.rawValue) \(target) HTTP/1.1" \
            \(response.status.code) \(response.status.reasonPhrase)
            """)
    }
}
