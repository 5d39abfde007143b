import ArgumentParser
import Foundation
import MartletServer

/// `martlet` without a subcommand: help and version.
struct MartletCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "Serves AutoGLM-Phone-9B and its family behind the OpenAI API.",
        discussion: """
            EXAMPLES:
              martlet serve ./AutoGLM-Phone-9B --served-model-name autoglm-phone-9b
              martlet chat model.gguf "Who are you?"
              martlet chat ./AutoGLM-Phone-9B --image screen.png "Tap the red button"
              martlet quantize ./AutoGLM-Phone-9B ./AutoGLM-Phone-9B-int4 -q int4
              martlet plan ./AutoGLM-Phone-9B --devices 2x24GiB
              martlet selfcheck model.gguf
              martlet bench model.gguf --context 128,1024
            """,
        version: "martlet \(MartletVersion.number)",
        subcommands: [
            ServeCommand.self, ChatCommand.self, QuantizeCommand.self, BenchCommand.self, KernelBenchCommand.self,
            RankBenchCommand.self, VisionBenchCommand.self, GPUBenchCommand.self, QualityBenchCommand.self,
            SelfcheckCommand.self, PlanCommand.self, FlagsCommand.self,
        ])
}

/// Where the process begins: reads the command line, runs it, and turns errors into sentences and exit codes.
package enum CommandLineEntry {
    package static func run(_ arguments: [String] = Array(CommandLine.arguments.dropFirst())) async {
        do {
            var command = try MartletCommand.parseAsRoot(normalized(arguments))
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            let (text, code) = report(error)
            if code == 0 { print(text) } else if !text.isEmpty { ConsoleLog.write(text + "\n") }
            exit(code)
        }
    }

    /// `_` in option names becomes `-`; values stay.
    static func normalized(_ arguments: [String]) -> [String] {
        guard arguments.first != "serve" else { return arguments }
        return arguments.map { word in
            guard word.hasPrefix("--") else { return word }
            let halves = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return ([halves[0].replacing("_", with: "-")] + halves.dropFirst()).joined(separator: "=")
        }
    }

    /// 0 for help, 2 for a command line that cannot be followed, 1 for what failed while running it.
    static func report(_ error: any Error) -> (text: String, code: Int32) {
        if let error = error as? UsageError { return ("martlet: error: \(error)", 2) }
        if let code = error as? ExitCode { return ("", code.rawValue) }
        let code = MartletCommand.exitCode(for: error)
        if code == .success || code == .validationFailure {
            return (MartletCommand.fullMessage(for: error), code == .success ? 0 : 2)
        }
        if error is CleanExit { return (MartletCommand.fullMessage(for: error), 0) }
        return ("martlet: error: \(error)", 1)
    }
}
