import HTTPTypes
import Hummingbird

/// The index of the server: every path, its methods, who may call it, and what answers.
struct Routes: Sendable {
    typealias Handler = @Sendable (Exchange) async throws(APIError) -> Response

    struct Route: Sendable {
        let method: HTTPRequest.Method
        /// Exact; or, when it ends in `/*`, a prefix with something after it.
        let path: String
        /// Answers without a key.
        let isOpen: Bool
        let handler: Handler

        func matches(_ path: Substring) -> Bool {
            guard self.path.hasSuffix("/*") else { return path == self.path }
            return path.hasPrefix(self.path.dropLast()) && path.utf8.count >= self.path.utf8.count
        }
    }

    let routes: [Route]

    init(_ environment: ServerEnvironment) {
        let chat = ChatCompletionsHandler(environment: environment)
        let completions = CompletionsHandler(environment: environment)
        let models = ModelsHandler(environment: environment)
        let tokens = TokenizeHandler(environment: environment)
        let probes = ProbesHandler(environment: environment)
        let metrics = MetricsHandler(environment: environment)
        routes = [
            Self.keyed(.post, "/v1/chat/completions", chat.respond),
            Self.keyed(.post, "/v1/completions", completions.respond),
            Self.keyed(.get, "/v1/models", models.list),
            Self.keyed(.get, "/v1/models/*", models.one),
            Self.keyed(.post, "/tokenize", tokens.tokenize),
            Self.keyed(.post, "/detokenize", tokens.detokenize),
            Self.keyed(.get, "/version", probes.version),
            Self.keyed(.get, "/metrics", metrics.page),
            // Open without a key: orchestrators probe without one, and these say nothing but "up" or "not".
            Self.open(.get, "/health", probes.health),
            Self.open(.get, "/ping", probes.health),
            Self.open(.post, "/ping", probes.health),
            Self.open(.get, "/livez", probes.live),
            Self.open(.get, "/readyz", probes.ready),
        ]
    }

    /// Asks for a key where keys are configured: the default, so that a forgotten route is a closed one.
    private static func keyed(_ method: HTTPRequest.Method, _ path: String, _ handler: @escaping Handler) -> Route {
        Route(method: method, path: path, isOpen: false, handler: handler)
    }

    private static func open(_ method: HTTPRequest.Method, _ path: String, _ handler: @escaping Handler) -> Route {
        Route(method: method, path: path, isOpen: true, handler: handler)
    }

    enum Match {
        case route(Route)
        /// The path exists under these methods.
        case otherMethods([String])
        case none
    }

    /// GET routes answer HEAD as well.
    func match(_ method: HTTPRequest.Method, _ path: Substring) -> Match {
        let here = routes.filter { $0.matches(path) }
        let wanted: HTTPRequest.Method = method == .head ? .get : method
        if let route = here.first(where: { $0.method == wanted }) { return .route(route) }
        return here.isEmpty ? .none : .otherMethods(here.map(\.method.rawValue))
    }

    /// For the log at start: one line a path.
    var descriptions: [String] {
        var paths: [String] = []
        for route in routes where !paths.contains(route.path) { paths.append(route.path) }
        return paths.map { path in
            let methods = routes.filter { $0.path == path }.map(\.method.rawValue)
            return "Route: \(path), Methods: \(methods.joined(separator: ", "))"
        }
    }
}
