import ArgumentParser
import Foundation
import Logging
import MartletEngine
import MartletModels
import MartletServer

/// `martlet serve`: a model behind the OpenAI API.
package struct ServeCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve a model behind the OpenAI API.")

    @Option(help: "A directory, a .gguf file, or a hub name that is in the local cache.")
    var model: String
    @Option(parsing: .upToNextOption, help: "Names that requests may use; the first is echoed.")
    var servedModelName: [String] = []
    @Option(help: "Address to listen on.") var host = "0.0.0.0"
    @Option(help: "Port to listen on.") var port = 8000

    package init() {}

    package func run() async throws {
        var options = ModelOptions()
        options.model = model
        let logger = Logger(label: "martlet")
        let (assembly, runner) = try ModelAssembly.load(
            options, environment: ProcessInfo.processInfo.environment) { _ in }
        var configuration = EngineConfiguration()
        configuration.endTokens = assembly.endTokens
        configuration.maxRunningSequences = options.maxRunningSequences
        configuration.maxBatchedTokens = options.maxBatchedTokens
        configuration.modelIdentity = assembly.files.location
        let engine = Engine(configuration: configuration, runner: runner)
        let names = servedModelName.isEmpty ? [model] : servedModelName
        let served = ServedModel(
            names: names, root: assembly.files.name, architecture: assembly.files.configuration.architecture.rawValue,
            maxModelLength: assembly.limits.maxModelLength, vocabularySize: assembly.limits.vocabularyCount,
            tokenizer: assembly.tokenizer, chat: assembly.renderer, images: assembly.images,
            imageToken: assembly.files.configuration.imageToken, endTokens: assembly.endTokens,
            created: Int(Date().timeIntervalSince1970))
        logger.info("Serving model '\(names[0])'...")
        var server = ServerConfiguration()
        server.host = host
        server.port = port
        let application = MartletApplication(model: served, engine: engine, configuration: server, logger: logger)
        async let loop: Void = engine.run()
        try await application.run()
        _ = await loop
    }
}
