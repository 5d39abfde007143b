import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import MartletEngine
import NIOCore
import ServiceLifecycle
import UnixSignals

/// The server, assembled: responder, connections, throughput line and shutdown around one engine.
///
/// On SIGTERM or SIGINT: `/readyz` answers 503 at once and new generations are refused with 503, what runs gets
/// `shutdownSeconds` to finish, what is left then ends with an error event, and `run` returns.
package struct MartletApplication: Sendable {
    private let environment: ServerEnvironment
    private let responder: ServerResponder
    private let logger: Logger

    /// - Parameters:
    ///   - engine: warm; the server is ready as soon as it listens.
    ///   - accessLogger: one line a request, as uvicorn writes it.
    package init(
        model: ServedModel, engine: any GenerationEngine, configuration: ServerConfiguration, logger: Logger,
        accessLogger: Logger? = nil, now: @escaping @Sendable () -> Int = { Int(Date().timeIntervalSince1970) }
    ) {
        self.init(
            model: model, engine: engine, configuration: configuration, logger: logger, accessLogger: accessLogger,
            now: now, fetcher: MediaFetcher(configuration))
    }

    init(
        model: ServedModel, engine: any GenerationEngine, configuration: ServerConfiguration, logger: Logger,
        accessLogger: Logger?, now: @escaping @Sendable () -> Int, fetcher: MediaFetcher
    ) {
        environment = ServerEnvironment(
            model: model, configuration: configuration, engine: engine, readiness: Readiness(.loading),
            metrics: ServerMetrics(started: Double(now())),
            gate: WorkGate(width: configuration.limits.concurrentDecodes), fetcher: fetcher,
            fetchGate: WorkGate(width: configuration.limits.concurrentFetches), logger: logger, now: now)
        responder = ServerResponder(environment: environment, accessLogger: accessLogger ?? logger)
        self.logger = logger
    }

    package var readiness: Readiness { environment.readiness }

    /// The HTTP side alone, without signals and shutdown; `onRunning` gets the port. Ready as soon as it listens.
    package func application(
        onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) -> Application<ServerResponder> {
        let configuration = environment.configuration
        let limits = configuration.limits
        let environment = environment
        return Application(
            responder: responder,
            server: Self.connections(limits),
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port), serverName: "martlet"),
            onServerRunning: { channel in
                if environment.readiness.phase == .loading { environment.readiness.become(.ready) }
                await onRunning(channel.localAddress?.port ?? configuration.port)
            },
            logger: Self.quiet(logger))
    }

    /// HTTP/1.1 within `limits`. A client that asks before it sends a large body (curl does) is told to go on at once,
    /// unless the body is larger than we take: then the handler's 413 is the answer.
    private static func connections(_ limits: RequestLimits) -> HTTPServerBuilder {
        let configuration = HTTP1Channel.Configuration(
            additionalChannelHandlers: [ConnectionWatch(stalledWriteSeconds: limits.stalledWriteSeconds)],
            idleTimeout: .seconds(Int64(limits.idleSeconds)),
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: limits.headerBytes, maxHeaderListSize: limits.headerBytes,
                maxHeaderFieldCount: limits.headerFields))
        return HTTPServerBuilder { responder in
            HTTP1Channel(
                responder: { request, writer, channel in
                    let length = request.headers[.contentLength].flatMap { Int($0) } ?? 0
                    if request.headers[.expect]?.lowercased() == "100-continue", length <= limits.bodyBytes {
                        try await writer.writeInformationalHead(HTTPResponse(status: .continue))
                    }
                    try await responder(request, writer, channel)
                }, configuration: configuration)
        }
    }

    /// Serves until a signal ends it. Throws `ServerStartError` when the address cannot be had.
    package func run(onRunning: @escaping @Sendable (Int) async -> Void = { _ in }) async throws {
        let configuration = environment.configuration
        let logger = logger
        logger.info("Starting API server on http://\(configuration.host):\(configuration.port)")
        logger.info("Available routes are:")
        for route in responder.routeDescriptions { logger.info("\(route)") }
        let application = application { port in
            logger.info("Application startup complete.")
            await onRunning(port)
        }
        // Shut down in reverse order: drain first, while the port still answers; then the connections.
        var services: [any Service] = [application]
        if let seconds = configuration.statisticsSeconds {
            services.append(StatisticsLog(engine: environment.engine, seconds: seconds, logger: logger))
        }
        services.append(DrainService(environment: environment))
        var group = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: Self.quiet(logger))
        group.maximumGracefulShutdownDuration = .seconds(configuration.shutdownSeconds + 10)
        do {
            try await ServiceGroup(configuration: group).run()
        } catch let error as IOError {
            throw ServerStartError(error, host: configuration.host, port: configuration.port)
        }
    }

    /// Frameworks' own remarks only from warnings on.
    private static func quiet(_ logger: Logger) -> Logger {
        var quiet = logger
        if quiet.logLevel < .warning, quiet.logLevel > .debug { quiet.logLevel = .warning }
        return quiet
    }
}

/// Waits for the signal, turns traffic away and lets the engine finish.
private struct DrainService: Service {
    let environment: ServerEnvironment

    func run() async throws {
        try? await gracefulShutdown()
        let seconds = environment.configuration.shutdownSeconds
        environment.readiness.become(.draining)
        environment.logger.info("Shutting down: running requests have \(seconds) seconds to finish.")
        await environment.engine.drain(timeout: .milliseconds(Int64(seconds * 1000)))
    }
}
