import ArgumentParser
import MartletCommand

@main struct Martlet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet", abstract: "Serves GLM-4.1V models behind the OpenAI API.", subcommands: [ServeCommand.self])
}
