/// Why a picture behind an http(s) URL was not had. Says nothing of addresses: that is the inside of our network.
enum FetchError: Error, Sendable, Equatable {
    /// Nothing is on the allow list.
    case off
    /// `reason` is one of our own sentences.
    case badURL(_ reason: String)
    case hostNotAllowed
    /// The host, or one of its addresses, is not on the public internet.
    case notPublic
    /// A redirect that is not followed; `reason` is one of our own sentences.
    case redirect(_ reason: String)
    case tooManyBytes(limit: Int)
    /// A `Content-Encoding` or `Transfer-Encoding` we did not ask for.
    case encoded
    case notAnImage
    /// The name has no address, or no answer came.
    case unknownHost
    case unreachable
    /// No TLS session, or a certificate that is not the host's.
    case insecure
    case status(Int)
    /// Not HTTP, or it ended too early.
    case brokenResponse
    case timeout
}

extension APIError {
    /// 400 for what this server refuses, 422 for what the other side failed to give (API.md 2.5).
    init(_ error: FetchError) {
        func refused(_ message: String) -> APIError { .badRequest(message, param: "image_url") }
        func failed(_ message: String) -> APIError {
            APIError(
                status: 422, type: "UnprocessableEntityError", message: "Failed to fetch the image: \(message).",
                param: "image_url")
        }
        self =
            switch error {
            case .off: .remoteMediaOff
            case .badURL(let reason): refused("The URL is not one to fetch: \(reason).")
            case .hostNotAllowed: refused("The URL's host is not among `--allowed-media-domains`.")
            case .notPublic: refused("The URL's host is not at a public address.")
            case .redirect(let reason): refused("The URL redirects, which is not followed: \(reason).")
            case .tooManyBytes(let limit): refused("The image behind the URL exceeds the limit of \(limit) bytes.")
            case .encoded: refused("The image behind the URL comes compressed, which is not accepted.")
            case .notAnImage: refused("The URL does not lead to an image.")
            case .unknownHost: failed("its host was not found")
            case .unreachable: failed("its host could not be reached")
            case .insecure: failed("its host has no valid certificate")
            case .status(let status): failed("its host answered with status \(status)")
            case .brokenResponse: failed("its host's answer was broken")
            case .timeout: failed("it took too long")
            }
    }
}
