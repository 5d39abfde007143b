import Hummingbird
import MartletCore
import MartletEngine

/// What orchestrators ask: is it alive, may requests come, which version is it.
struct ProbesHandler: Sendable {
    let environment: ServerEnvironment

    /// vLLM's probe: 200 and no body while the engine moves, also while draining.
    @Sendable func health(_ exchange: Exchange) async throws(APIError) -> Response {
        try checkEngine()
        return Response(status: .ok)
    }

    /// Forward progress: steps are taken, or there is nothing to do. A 503 here asks for a restart.
    @Sendable func live(_ exchange: Exchange) async throws(APIError) -> Response {
        try checkEngine()
        return .text("ok\n")
    }

    /// Loaded, warm and not draining. A 503 here only asks for other traffic.
    @Sendable func ready(_ exchange: Exchange) async throws(APIError) -> Response {
        switch environment.readiness.phase {
        case .loading: throw .notReady
        case .draining: throw .draining
        case .ready: try checkEngine()
        }
        return .text("ok\n")
    }

    @Sendable func version(_ exchange: Exchange) async throws(APIError) -> Response {
        .json(.object(JSONObject([("version", .string(MartletVersion.number))])))
    }

    private func checkEngine() throws(APIError) {
        switch environment.engine.health() {
        case .alive, .silent: return
        case .stalled, .lost, .dead:
            throw APIError(
                status: 503, type: "ServiceUnavailableError", message: "The engine makes no progress.",
                retryAfterSeconds: 5)
        }
    }
}
