import MartletCore
import MartletText
import MartletVision

/// How the server listens, what it allows and what it logs.
package struct ServerConfiguration: Sendable {
    package var host = "0.0.0.0"
    /// 0 = any free port; for tests.
    package var port = 8000
    /// Bearer keys; empty = no key is asked for.
    package var apiKeys: [String] = []
    package var cors = CORSPolicy()
    package var limits = RequestLimits()
    /// Of one image.
    package var imageLimits = ImageLimits.standard
    /// Between the comments that keep an idle stream open; nil = none.
    package var keepAliveSeconds: Double? = 15
    package var contentFormat = ContentFormat.auto
    /// Template arguments for what a request's own do not say (`--default-chat-template-kwargs`).
    package var templateArguments = JSONObject()
    /// Thoughts stay in the content even when a request wants them apart, for clients that read nothing else.
    package var keepsReasoningInContent = false
    /// Every stream ends with its usage, asked for or not.
    package var forcesUsage = false
    /// Shrink images whose prompt does not fit the context, instead of refusing it (D16).
    package var fitsImages = true
    /// After an agent's step, what its next request will begin with is prefilled while nothing else runs.
    package var prefillsNextTurn = true
    /// `file:` URLs may name files under this directory; nil = none.
    package var localMediaPath: String?
    /// Hosts that http(s) image URLs may name, as `allowedMediaHost` writes them; empty = nothing is fetched.
    package var allowedMediaHosts: Set<String> = []
    /// For the whole of one fetch.
    package var fetchSeconds = 5.0
    /// Redirects that one fetch follows.
    package var fetchRedirects = 3
    /// What running requests get to finish after SIGTERM.
    package var shutdownSeconds = 30.0
    /// Accept a request's id, or make one, and send it back.
    package var sendsRequestID = true
    /// One line a request, as uvicorn writes it.
    package var logsAccess = true
    /// Paths without an access line.
    package var quietPaths: Set<String> = []
    /// The throughput line's interval; nil = never.
    package var statisticsSeconds: Double? = 10

    package init() {}

    /// `entry` of `allowedMediaHosts` in its canonical form; nil unless it is a DNS name or a public address, with or
    /// without a port.
    package static func allowedMediaHost(_ entry: String) -> String? { MediaURL.allowListEntry(entry) }
}
