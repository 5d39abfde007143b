import HTTPTypes
import Hummingbird
import MartletCore
import NIOCore

extension Response {
    /// A body of JSON bytes.
    static func json(_ bytes: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    static func json(_ value: JSONValue) -> Response {
        var writer = JSONWriter()
        writer.value(value)
        return json(writer.bytes)
    }

    static func text(_ text: String, type: String = "text/plain; charset=utf-8") -> Response {
        Response(
            status: .ok, headers: [.contentType: type], body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    /// OpenAI's error body.
    static func failure(_ error: APIError) -> Response {
        var writer = JSONWriter()
        error.write(into: &writer)
        var response = json(writer.bytes, status: HTTPResponse.Status(code: error.status))
        if let seconds = error.retryAfterSeconds { response.headers[.retryAfter] = "\(seconds)" }
        if error.status == 401 { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }

    /// An event stream; `write` puts frames until the answer ends.
    static func events(
        _ write: @escaping @Sendable (inout any ResponseBodyWriter) async throws -> Void
    ) -> Response {
        var headers: HTTPFields = [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache"]
        // nginx would hold the stream back until a buffer is full.
        headers[.accelBuffering] = "no"
        return Response(status: .ok, headers: headers, body: ResponseBody(write))
    }
}

extension HTTPField.Name {
    static let accelBuffering = constant("X-Accel-Buffering")
    static let requestID = constant("X-Request-Id")
    static let imageFit = constant("X-Martlet-Image-Fit")
    static let corsCredentials = constant("Access-Control-Allow-Credentials")

    private static func constant(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("\(name) is no header name") }
        return name
    }
}
