import ArgumentParser
import Foundation
import Logging
import MartletCore
import MartletEngine
import MartletModels
import MartletParallel
import MartletServer
import MartletText
import MartletVision

/// `martlet serve`: a model behind the OpenAI API. Its flags are `FlagCatalogue`.
package struct ServeCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve a model behind the OpenAI API.")

    @Argument(
        parsing: .captureForPassthrough, help: "The model, and flags as vLLM has them; see `martlet serve --help`.")
    var arguments: [String] = []

    package init() {}

    package func run() async throws {
        if arguments.contains("--help") || arguments.contains("-h") {
            print(ServeHelp.text)
            return
        }
        let environment = ProcessInfo.processInfo.environment
        var settings = try FlagReader(arguments).settings(environment: environment)
        try settings.settle(environment: environment)
        guard try RankProcess.isAsked(settings, environment: environment) else {
            return try await Self.serve(settings, environment: environment)
        }
        let rank = MPIWorld.launchedRank(environment: environment)
        let logger = Self.logger(settings, speaker: rank == 0 ? "APIServer" : "Rank \(rank)", environment: environment)
        let process = try RankProcess(settings, environment: environment) {
            try PortCheck.run(host: settings.server.host, port: settings.server.port)
        }
        if process.rank == 0 {
            do {
                try await Self.serve(settings, environment: environment, process: process)
            } catch {
                process.breakUp.say("rank 0: \(error)")
            }
        } else {
            process.follow(settings, environment: environment, logger: logger)
        }
        process.leave(logger)
    }

    private static func logger(
        _ settings: ServeSettings, speaker: String = "APIServer", environment: [String: String]
    ) -> Logger {
        Logger(label: "martlet") { _ in
            ConsoleLog(
                style: .full, level: settings.logLevel, prefix: settings.logPrefix, speaker: speaker,
                environment: environment)
        }
    }

    /// `process`: rank 0 of several.
    private static func serve(
        _ settings: ServeSettings, environment: [String: String], process: RankProcess? = nil
    ) async throws {
        let logger = logger(settings, environment: environment)
        let accessLogger = Logger(label: "access") { _ in
            ConsoleLog(style: .access, level: settings.accessLevel, environment: environment)
        }
        let log = Guarded(StartLog(settings: settings, logger: logger))
        log.with { $0.begin(version: MartletVersion.number) }
        if let process {
            process.endWhenBroken(logger)
        } else {
            try PortCheck.run(host: settings.server.host, port: settings.server.port)
        }
        if let name = settings.instructionSet { setenv("MARTLET_FORCE_ISA", name, 1) }
        let read = Guarded(0)
        let (assembly, runners) = try ModelAssembly.load(settings.model, environment: environment, process: process) {
            event in
            if case .loaded(let bytes, _) = event { read.with { $0 = bytes } }
            log.with { $0.show(event) }
        }
        if process != nil {
            let bytes = LoadProgress.gibibytes(read.with { $0 })
            logger.info("Rank 0 has read \(bytes) GiB of weights and leads the others.")
        }
        let sampling = try GenerationFile.defaults(
            choice: settings.generationConfig, own: assembly.files.generationConfig,
            overrides: settings.generationOverrides)
        log.with { $0.loaded(assembly, overridden: sampling.overridden) }

        var configuration = settings.engine
        configuration.endTokens = assembly.endTokens
        configuration.modelIdentity = assembly.files.location
        let silence = settings.watchdogSeconds.map { SilenceLimits(exitSeconds: $0) }
        let engine = EngineGroup(
            configuration: configuration, runners: runners, seeds: SeedSource(seed: settings.seed),
            silence: silence ?? SilenceLimits())
        process?.breakUp.listen { engine.abandon(reason: "The ranks no longer work together: \($0)") }
        if let silence {
            WatchdogThread.start(limits: silence, logger: logger) {
                engine.health()
            } giveUp: {
                engine.abandon(reason: $0)
            }
        }
        var model = assembly.served(names: settings.names)
        model.defaults = sampling.defaults
        model.reasoning = settings.reasoning
        let logged: any GenerationEngine =
            settings.logsRequests
            ? RequestLog(engine: engine, logger: logger, tokenLimit: settings.loggedTokens) : engine
        let application = MartletApplication(
            model: model, engine: logged, configuration: settings.server, logger: logger, accessLogger: accessLogger)
        try await run(application, logger) { await engine.run() }
    }

    /// Until a signal ends the server, or the engine ends by itself: then the process ends, for nothing can be served.
    private static func run(
        _ application: MartletApplication, _ logger: Logger, engine: @escaping @Sendable () async -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                await engine()
                return false
            }
            group.addTask {
                try await application.run()
                return true
            }
            let isServed = try await group.next() ?? true
            defer { group.cancelAll() }
            guard !isServed else { return }
            logger.critical("The engine has ended. The server ends with it.")
            // What streams have to say about it goes out first.
            try? await Task.sleep(for: .seconds(1))
            throw ExitCode(70)
        }
    }
}

extension ModelAssembly {
    /// The model as the server sees it.
    func served(names: [String]) -> ServedModel {
        ServedModel(
            names: names, root: files.name, architecture: files.configuration.architecture.rawValue,
            maxModelLength: limits.maxModelLength, vocabularySize: limits.vocabularyCount, tokenizer: tokenizer,
            chat: renderer, images: images, imageToken: files.configuration.imageToken, endTokens: endTokens,
            created: Int(Date().timeIntervalSince1970))
    }
}
