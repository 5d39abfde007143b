import NIOCore
import NIOHTTP1

/// What a site answered, as far as it was wanted.
enum FetchedResponse: Sendable, Equatable {
    case image([UInt8])
    case redirect(location: String)
}

/// Reads one response: decides at its head whether its body is wanted, and counts the body as it comes.
struct ResponseIntake: Sendable {
    /// Bytes of the body.
    let limit: Int
    private var bytes: [UInt8] = []

    init(limit: Int) { self.limit = limit }

    /// nil = the body is wanted.
    mutating func head(_ head: HTTPResponseHead) throws(FetchError) -> FetchedResponse? {
        if [301, 302, 303, 307, 308].contains(head.status.code) {
            let locations = head.headers["Location"]
            guard locations.count == 1 else { throw .redirect("it does not say where to") }
            return .redirect(location: locations[0])
        }
        guard head.status == .ok else { throw .status(Int(head.status.code)) }
        let encodings = head.headers[canonicalForm: "Content-Encoding"]
        let transfers = head.headers[canonicalForm: "Transfer-Encoding"]
        guard encodings.allSatisfy({ $0.lowercased() == "identity" }),
            transfers.allSatisfy({ $0.lowercased() == "chunked" })
        else { throw .encoded }
        if let type = head.headers.first(name: "Content-Type")?.lowercased() {
            let plain = type.prefix { $0 != ";" && $0 != " " }
            guard plain.hasPrefix("image/") || plain.hasSuffix("/octet-stream") else { throw .notAnImage }
        }
        for length in head.headers["Content-Length"] {
            guard let count = Int(length), count >= 0 else { throw .brokenResponse }
            guard count <= limit else { throw .tooManyBytes(limit: limit) }
        }
        return nil
    }

    mutating func body(_ piece: ByteBuffer) throws(FetchError) {
        guard piece.readableBytes <= limit - bytes.count else { throw .tooManyBytes(limit: limit) }
        bytes.append(contentsOf: piece.readableBytesView)
    }

    func end() -> FetchedResponse { .image(bytes) }
}
