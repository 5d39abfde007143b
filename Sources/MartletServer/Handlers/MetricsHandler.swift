import Hummingbird
import MartletEngine

/// `GET /metrics`
struct MetricsHandler: Sendable {
    let environment: ServerEnvironment

    @Sendable func page(_ exchange: Exchange) async throws(APIError) -> Response {
        let page = MetricsPage(
            model: environment.model, engines: await environment.engine.statisticsByEngine(),
            server: environment.metrics)
        return .text(page.text(), type: PrometheusWriter.contentType)
    }
}
