import Foundation
import Logging
import MartletModels
import Testing

@testable import MartletCommand

@Suite struct LogTests {
    @Test func lineOfTheServer() {
        let log = ConsoleLog(style: .full, level: .info, prefix: "p ", environment: ["NO_COLOR": "1"])
        let line = log.text("hello", level: .warning, file: "ServeCommand.swift", line: 42, now: 0)
        #expect(line.hasPrefix("p (APIServer pid=\(getpid())) WARNING "))
        #expect(line.hasSuffix(" [ServeCommand.swift:42] hello"))
        // MM-DD HH:MM:SS
        let stamp = line.split(separator: " ").dropFirst(4).prefix(2).joined(separator: " ")
        #expect(stamp.utf8.count == 14)
        #expect(stamp.filter { !"0123456789".contains($0) } == "- ::")
    }

    @Test func lineOfARequest() {
        let log = ConsoleLog(style: .access, level: .info, environment: ["NO_COLOR": "1"])
        let text = "1.2.3.4:5 - \"GET /health HTTP/1.1\" 200 OK"
        #expect(log.text(text, level: .info, file: "x", line: 1, now: 0) == "INFO:     " + text)
        #expect(log.text("x", level: .warning, file: "x", line: 1, now: 0) == "WARNING:  x")
    }

    @Test func bar() {
        #expect(LoadProgress.bar(0, of: 1 << 30, width: 4) == "Loading weights [....] 0% (0.00 of 1.00 GiB)")
        #expect(LoadProgress.bar(1 << 29, of: 1 << 30, width: 4) == "Loading weights [##..] 50% (0.50 of 1.00 GiB)")
        #expect(LoadProgress.bar(3 << 30, of: 1 << 30, width: 4).contains("[####] 100%"))
        #expect(LoadProgress.bar(0, of: 0, width: 4).contains("[....] 0%"))
    }

    @Test(arguments: [
        (1, 1, "1 CPU rank"), (2, 1, "2 CPU ranks with tensor parallelism"),
        (1, 3, "3 CPU ranks with pipeline parallelism"),
        (2, 3, "6 CPU ranks with tensor parallelism (2) and pipeline parallelism (3)"),
    ]) func ranks(tensor: Int, pipeline: Int, text: String) {
        #expect(StartLog.ranks(ParallelSize(tensor: tensor, pipeline: pipeline)) == text)
    }

    @Test func ranksOfSeveralCopies() {
        #expect(StartLog.ranks(ParallelSize(data: 2)) == "2 CPU ranks with data parallelism")
        #expect(
            StartLog.ranks(ParallelSize(tensor: 2, data: 3))
                == "6 CPU ranks with tensor parallelism (2) and data parallelism (3)")
    }

    @Test(arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (302945, "302,945"), (-1234567, "-1,234,567")])
    func thousands(value: Int, text: String) { #expect(StartLog.grouped(value) == text) }
}
