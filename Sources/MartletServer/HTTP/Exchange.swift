import HTTPTypes
import Hummingbird
import MartletCore
import NIOCore
import Synchronization

/// One request being answered.
struct Exchange: Sendable {
    let request: Request
    let context: ServerContext
    /// The client's label, or ours; for logs and the `X-Request-Id` header.
    let id: String
    private let reading = SharedFlag()

    init(request: Request, context: ServerContext, id: String) {
        self.request = request
        self.context = context
        self.id = id
    }

    /// The path without its query, exactly as it came: what is routed is what is authorised.
    var path: Substring {
        let target = request.head.path ?? ""
        return target[..<(target.firstIndex(of: "?") ?? target.endIndex)]
    }

    /// The body was read to its end.
    var didReadBody: Bool { reading.value }

    /// A large body, or one of unknown length, that nobody has read: the connection cannot be used again.
    var hasUnreadBody: Bool {
        guard !didReadBody else { return false }
        if request.headers[.transferEncoding] != nil { return true }
        return (request.headers[.contentLength].flatMap { Int($0) } ?? 0) > 64 << 10
    }

    /// The body as JSON. Throws 400 for another content type or bad JSON, 413 as soon as `limit` bytes are exceeded.
    func json(limit: Int) async throws(APIError) -> JSONValue {
        if let type = request.headers[.contentType] {
            let essence = type.prefix { $0 != ";" }.trimmingSpaces().lowercased()
            guard essence == "application/json" || essence.hasSuffix("+json") else { throw .notJSON }
        }
        let body = try await collect(limit: limit)
        do {
            return try body.withUnsafeReadableBytes { bytes throws(JSONError) in
                try JSONParser.parse(bytes.bindMemory(to: UInt8.self))
            }
        } catch { throw .invalidJSON(error) }
    }

    private func collect(limit: Int) async throws(APIError) -> ByteBuffer {
        let declared = request.headers[.contentLength].flatMap { Int($0) }
        if let declared, declared > limit { throw .bodyTooLarge(limit: limit) }
        var body = ByteBuffer()
        body.reserveCapacity(min(declared ?? 0, limit))
        do {
            for try await part in request.body {
                guard body.readableBytes + part.readableBytes <= limit else {
                    throw APIError.bodyTooLarge(limit: limit)
                }
                body.writeImmutableBuffer(part)
            }
        } catch let error as APIError { throw error } catch {
            throw .badRequest("The request body ended early.")
        }
        reading.set()
        return body
    }
}

/// A flag that copies share.
private final class SharedFlag: Sendable {
    private let flag = Atomic<Bool>(false)
    var value: Bool { flag.load(ordering: .relaxed) }
    func set() { flag.store(true, ordering: .relaxed) }
}

extension Substring {
    fileprivate func trimmingSpaces() -> Substring {
        var text = self
        while text.last == " " || text.last == "\t" { text.removeLast() }
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        return text
    }
}
