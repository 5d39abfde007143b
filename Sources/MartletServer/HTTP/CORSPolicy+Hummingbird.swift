import HTTPTypes
import Hummingbird

extension CORSPolicy {
    /// The origin to echo, if the request comes from a page that may call.
    private func allowed(_ request: Request) -> String? {
        guard let origin = request.headers[.origin] else { return nil }
        if origins.contains(origin) { return origin }
        guard origins.contains("*") else { return nil }
        // A wildcard with credentials would mean "every page, as the user": browsers refuse it, so the origin is named.
        return allowsCredentials ? origin : "*"
    }

    /// The answer to a preflight; nil if this is none, or not from an allowed origin.
    func preflight(_ request: Request) -> Response? {
        guard let wanted = request.headers[.accessControlRequestMethod], allowed(request) != nil else { return nil }
        guard methods.contains("*") || methods.contains(wanted) else { return nil }
        var response = Response(status: .ok)
        response.headers[.accessControlAllowMethods] =
            methods.contains("*") ? "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT" : methods.joined(separator: ", ")
        let asked = request.headers[.accessControlRequestHeaders]
        response.headers[.accessControlAllowHeaders] = headers.contains("*") ? asked : headers.joined(separator: ", ")
        response.headers[.accessControlMaxAge] = "600"
        return response
    }

    func decorate(_ response: inout Response, for request: Request) {
        guard let origin = allowed(request) else { return }
        response.headers[.accessControlAllowOrigin] = origin
        if origin != "*" { response.headers[.vary] = "Origin" }
        if allowsCredentials { response.headers[.corsCredentials] = "true" }
    }
}
