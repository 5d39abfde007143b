import HTTPTypes
import Hummingbird
import MartletEngine
import NIOCore
import Synchronization

/// Requests by route: how many, how long, how large; under the names of the instrumentator that vLLM uses.
final class HTTPMetrics: Sendable {
    private struct Key: Hashable {
        let handler: String
        let method: String
        /// `2xx`, `4xx`…
        let status: String
    }

    private struct Size {
        var count = 0.0
        var sum = 0.0
    }

    private struct State {
        var requests: [Key: Double] = [:]
        /// By handler and method.
        var durations: [[String]: Histogram] = [:]
        var fineDurations = Histogram(bounds: HTTPMetrics.fineBounds)
        var requestSizes: [String: Size] = [:]
        var responseSizes: [String: Size] = [:]
        var openStreams = 0
    }

    /// Probes and the metrics page would drown the rest.
    static let excluded: Set<String> = ["/metrics", "/health", "/ping", "/livez", "/readyz", "/version", "preflight"]
    private static let bounds: [Double] = [0.1, 0.5, 1]
    private static let fineBounds: [Double] = [
        0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60,
    ]

    private let state = Mutex(State())

    /// The response, which counts itself when its last byte is written.
    func counting(
        _ response: Response, handler: String, method: String, start: ContinuousClock.Instant, requestBytes: Int
    ) -> Response {
        guard !Self.excluded.contains(handler) else { return response }
        let status = "\(response.status.code / 100)xx"
        let done: @Sendable (Int) -> Void = { [self] bytes in
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            observe(Key(handler: handler, method: method, status: status), seconds, requestBytes, bytes)
        }
        if let length = response.body.contentLength {
            done(length)
            return response
        }
        var counted = response
        let bytes = SharedCount()
        let body = response.body.map { buffer in
            bytes.add(buffer.readableBytes)
            return buffer
        }
        counted.body = ResponseBody { [self] writer in
            state.withLock { $0.openStreams += 1 }
            defer {
                state.withLock { $0.openStreams -= 1 }
                done(bytes.value)
            }
            try await body.write(writer)
        }
        return counted
    }

    private func observe(_ key: Key, _ seconds: Double, _ requestBytes: Int, _ responseBytes: Int) {
        state.withLock { state in
            state.requests[key, default: 0] += 1
            state.durations[[key.handler, key.method], default: Histogram(bounds: Self.bounds)].observe(seconds)
            state.fineDurations.observe(seconds)
            state.requestSizes[key.handler, default: Size()].count += 1
            state.requestSizes[key.handler, default: Size()].sum += Double(requestBytes)
            state.responseSizes[key.handler, default: Size()].count += 1
            state.responseSizes[key.handler, default: Size()].sum += Double(responseBytes)
        }
    }

    func write(into page: inout PrometheusWriter) {
        let state = state.withLock { $0 }
        let requests = state.requests.sorted { ($0.key.handler, $0.key.status) < ($1.key.handler, $1.key.status) }
        page.counter(
            "http_requests", "Total number of requests by method, status and handler.",
            requests.map { key, count in
                ([("handler", key.handler), ("method", key.method), ("status", key.status)], count)
            })
        page.histogram(
            "http_request_duration_seconds", "Latency by handler and method.",
            state.durations.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { key, histogram in
                ([("handler", key[0]), ("method", key[1])], histogram)
            })
        page.histogram(
            "http_request_duration_highr_seconds", "Latency with many buckets but no labels.",
            [([], state.fineDurations)])
        page.summary(
            "http_request_size_bytes", "Content length of incoming requests by handler.",
            Self.samples(state.requestSizes))
        page.summary(
            "http_response_size_bytes", "Bytes of outgoing responses by handler.", Self.samples(state.responseSizes))
        page.gauge("martlet:open_streams", "Event streams being written.", [([], Double(state.openStreams))])
    }

    private static func samples(
        _ sizes: [String: Size]
    ) -> [(labels: PrometheusWriter.Labels, count: Double, sum: Double)] {
        sizes.sorted { $0.key < $1.key }.map { ([("handler", $0.key)], $0.value.count, $0.value.sum) }
    }
}

/// A count that copies share.
private final class SharedCount: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .relaxed) }
    func add(_ amount: Int) { count.add(amount, ordering: .relaxed) }
}
