import Logging
import MartletServer

extension FlagCatalogue {
    /// Who may call, and how long things may take.
    static let serverFlags: [ServeFlag] = [
        .honours("host", means: "Address to listen on", standard: "0.0.0.0") { $0.server.host = $1.text },
        .honours("port", kind: .count(0...65535), means: "Port to listen on; 0 = any free one", standard: "8000") {
            $0.server.port = $1.count
        },
        .honours("api-key", kind: .words, means: "Bearer keys that open /v1; also in VLLM_API_KEY", standard: "none") {
            $0.server.apiKeys = $1.words
        },
        .honours("allowed-origins", kind: .strings, means: "Web origins that may call: [\"*\"]", standard: "[]") {
            $0.server.cors.origins = $1.words
        },
        .honours("allowed-methods", kind: .strings, means: "Methods they may use", standard: "[\"*\"]") {
            $0.server.cors.methods = $1.words
        },
        .honours("allowed-headers", kind: .strings, means: "Headers they may send", standard: "[\"*\"]") {
            $0.server.cors.headers = $1.words
        },
        .honours("allow-credentials", kind: .toggle, means: "They may send cookies", standard: "off") {
            $0.server.cors.allowsCredentials = $1.isOn
        },
        .honours("enable-request-id-headers", kind: .toggle, means: "Answer with X-Request-Id", standard: "on") {
            $0.server.sendsRequestID = $1.isOn
        },
        .honours(
            "sse-keep-alive-interval", kind: .number(0...3600),
            means: "Seconds between comments on an idle stream; 0 = none",
            standard: "15"
        ) { $0.server.keepAliveSeconds = $1.number == 0 ? nil : $1.number },
        .honours(
            "shutdown-timeout", kind: .number(0...86400), means: "Seconds that running requests get after SIGTERM",
            standard: "30"
        ) {
            $0.server.shutdownSeconds = $1.number
        },
        .honours(
            "watchdog-timeout", kind: .number(0...86400),
            means: "Seconds that a busy engine may make no progress before the process ends with exit code 70; the log "
                + "warns after a ninth of them, probes answer 503 after two thirds; 0 = never",
            standard: "90"
        ) {
            $0.watchdogSeconds = $1.number == 0 ? nil : $1.number
        },
        .honours(
            "enable-force-include-usage", kind: .toggle, means: "Every stream ends with its usage", standard: "off"
        ) {
            $0.server.forcesUsage = $1.isOn
        },
        .ignores(
            "enable-prompt-tokens-details", kind: .toggle, means: "Usage tells cached tokens", standard: "on",
            because: "usage always tells them."),
        .ignores(
            "api-server-count", kind: .count(1...1024), means: "HTTP processes", standard: "1",
            because: "one process serves all connections."),
        .refuses("uds", means: "Listen on a Unix socket", because: "put a proxy in front, or use --host 127.0.0.1."),
        .refuses("root-path", means: "Path prefix behind a proxy", because: "let the proxy strip the prefix."),
        .refuses("ssl-keyfile", means: "TLS key", because: tls),
        .refuses("ssl-certfile", means: "TLS certificate", because: tls),
        .refuses("ssl-ca-certs", means: "TLS authorities", because: tls),
        .refuses(
            "ssl-cert-reqs", kind: .count(0...2), means: "Ask clients for certificates", standard: "0", because: tls,
            harmless: ["0"]),
        .refuses("enable-ssl-refresh", kind: .toggle, means: "Reload certificates", because: tls),
    ]

    private static let tls = "Martlet speaks plain HTTP. Put a proxy (HAProxy, nginx, Caddy) in front."

    static let logFlags: [ServeFlag] = [
        .honours(
            "enable-log-requests", kind: .toggle, means: "One line for every request that reaches the engine",
            standard: "off"
        ) {
            $0.logsRequests = $1.isOn
        },
        .honours(
            "disable-log-requests", kind: .toggle, means: "The older form of --no-enable-log-requests", standard: "on"
        ) {
            $0.logsRequests = !$1.isOn
        },
        .honours(
            "max-log-len", kind: .count(0...1_000_000), means: "Prompt tokens that such a line shows", standard: "32"
        ) {
            $0.loggedTokens = $1.count
        },
        .honours("disable-log-stats", kind: .toggle, means: "No throughput line every 10 seconds", standard: "off") {
            $0.server.statisticsSeconds = $1.isOn ? nil : 10
        },
        .honours("disable-uvicorn-access-log", kind: .toggle, means: "No line per HTTP request", standard: "off") {
            $0.server.logsAccess = !$1.isOn
        },
        .honours(
            "disable-access-log-for-endpoints", kind: .words, means: "Paths without such a line: /health,/metrics",
            standard: "none"
        ) { settings, value in
            settings.server.quietPaths = Set(value.words.flatMap { $0.split(separator: ",").map(String.init) })
        },
        .honours(
            "uvicorn-log-level", kind: .choice(["trace", "debug", "info", "warning", "error", "critical"]),
            means: "From which level HTTP lines are written", standard: "info"
        ) { $0.accessLevel = Logger.Level(rawValue: $1.text) ?? .info },
        .ignores(
            "show-hidden-metrics-for-version", means: "Metrics of older versions",
            because: "the older names are always there."),
        .refuses("otlp-traces-endpoint", means: "OpenTelemetry collector", because: tracing),
        .refuses("collect-detailed-traces", means: "What to trace", because: tracing),
        .refuses(
            "custom-histogram-buckets", kind: .object, means: "Buckets of histograms",
            because: "the buckets are vLLM's."),
        .refuses("kv-cache-metrics", kind: .toggle, means: "Life spans of KV blocks", because: caching),
        .refuses(
            "enable-per-request-metrics", kind: .toggle, means: "Timings in every answer",
            because: "see /metrics for distributions."),
    ]
    private static let tracing = "no traces are kept. /metrics and the log say where time goes."
    private static let caching = "/metrics says how full the cache is, and how much of the prompts was found there."
}
