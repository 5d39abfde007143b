import ArgumentParser
import Foundation
import MartletCore
import MartletEngine
import Testing

@testable import MartletCommand

@Suite struct CommandLineTests {
    private func report(_ arguments: [String]) -> (text: String, code: Int32) {
        do {
            var command = try MartletCommand.parseAsRoot(CommandLineEntry.normalized(arguments))
            try command.run()
            return ("", 0)
        } catch { return CommandLineEntry.report(error) }
    }

    @Test func helpAndVersion() {
        #expect(report(["--version"]).text.hasPrefix("martlet "))
        #expect(report(["--version"]).code == 0)
        let help = report(["--help"])
        #expect(help.code == 0)
        let benches = ["bench", "bench-kernels", "bench-ranks", "bench-vision", "bench-quality"]
        for command in ["serve", "chat", "selfcheck", "plan"] + benches {
            #expect(help.text.contains("  \(command) "))
        }
        for command in ["chat", "selfcheck", "plan"] + benches {
            let text = report([command, "--help"]).text
            #expect(text.contains("EXAMPLE"), "\(command)")
        }
    }

    @Test(arguments: [
        ["chat"], ["chat", "m", "--temperature", "3"], ["bench", "m", "--context", "x"],
        ["bench", "m", "--repeats", "0"],
        ["plan", "/tmp", "--devices", "many"], ["selfcheck", "m", "--tokens", "0"], ["dance"], ["plan"],
        ["bench", "m", "--quux"], ["bench-kernels", "--weights", "q9"], ["bench-kernels", "--rows", "0"],
        ["bench-kernels", "--threads", "0"], ["bench-kernels", "--shapes", "33x64"],
        ["bench-kernels", "--shapes", "64"], ["bench-ranks", "--ranks", "1"], ["bench-ranks", "--sizes", "5"],
        ["bench-vision", "m", "--size", "3"],
        ["bench-vision", "m", "--repeats", "0"], ["bench", "m", "--images", "17"],
        ["bench", "m", "--images", "1", "--image-size", "big"],
        ["bench-quality", "m", "t", "--context", "2"], ["bench-quality", "m", "t", "--against", "f64"],
    ])
    func usageErrorsExitWithTwo(arguments: [String]) {
        let (text, code) = report(arguments)
        // A command of these that needs to run before it sees its mistake is asked for its settings instead.
        #expect(code == 2 || text.contains("config.json"), "\(text)")
    }

    @Test func underscoresInEveryCommand() {
        let words = CommandLineEntry.normalized(["bench", "m", "--max_model_len=a_b", "c_d"])
        #expect(words == ["bench", "m", "--max-model-len=a_b", "c_d"])
        #expect(CommandLineEntry.normalized(["serve", "--x_y"]) == ["serve", "--x_y"])
    }

    @Test func modelArgumentsUseTheSameTable() throws {
        let chat = try #require(
            try MartletCommand.parseAsRoot(["chat", "m", "--dtype", "half", "--max-model-len", "4K", "hello", "you"])
                as? ChatCommand)
        #expect(chat.prompt == ["hello", "you"])
        #expect(try chat.model.settings().model.maxModelLength == 4096)
        let wrong = try #require(try MartletCommand.parseAsRoot(["chat", "m", "--dtype", "int3"]) as? ChatCommand)
        #expect(throws: UsageError.self) { try wrong.model.settings() }
    }

    @Test func benchFigures() {
        #expect(BenchCommand.median([3, 1, 2]) == 2)
        #expect(BenchCommand.median([4, 1, 2, 3]) == 2.5)
        #expect(BenchCommand.median([]) == 0)
        let row = BenchRow(context: 128, sequences: 2, decoded: 8, prefill: 100.5, decode: 20.25)
        #expect(row.csv == "128,2,8,100.500,20.250")
        #expect(row.csv.split(separator: ",").count == BenchRow.csvHeading.split(separator: ",").count)
        #expect(row.text.utf8.count == BenchRow.heading(isPipeline: false, readsWeights: false).utf8.count)
        let read = BenchRow(context: 128, sequences: 2, decoded: 8, prefill: 100.5, decode: 20.25, read: 5.5e10)
        #expect(read.text == row.text + "                 55.0")
        #expect(read.text.utf8.count == BenchRow.heading(isPipeline: false, readsWeights: true).utf8.count)
        #expect(read.json["weights_read_bytes_per_second"] == .number(5.5e10))
        #expect(row.json["decode_tokens_per_second"] == .number(20.25))
        #expect(row.json["bubble_shares"] == nil)
        var times = BusyTimes(stageCount: 2)
        times.note(stage: 0, isBusy: true, now: 0)
        times.note(stage: 1, isBusy: true, now: 1)
        times.advance(to: 4)
        let staged = BenchRow(context: 128, sequences: 2, decoded: 8, prefill: 100.5, decode: 20.25, times: times)
        #expect(staged.text == row.text + "             75.0%   0.0% 25.0%")
        #expect(
            BenchRow.heading(isPipeline: true, readsWeights: false).hasPrefix(
                BenchRow.heading(isPipeline: false, readsWeights: false) + "   all"))
        #expect(staged.json["all_stages_busy_share"] == .number(0.75))
    }
}
