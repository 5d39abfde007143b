import Foundation
import Logging

/// How far loading, or other work on all weights, is: a bar on a terminal, a log line every ten seconds elsewhere.
struct LoadProgress {
    private let title: String
    private let isTerminal: Bool
    private let say: @Sendable (String) -> Void
    private let start = ContinuousClock.now
    private var last: ContinuousClock.Instant?
    private var isBarOpen = false

    init(
        title: String = "Loading weights", isTerminal: Bool = isatty(STDERR_FILENO) == 1,
        say: @escaping @Sendable (String) -> Void
    ) {
        self.title = title
        self.isTerminal = isTerminal
        self.say = say
    }

    mutating func show(_ done: Int, of total: Int) {
        let now = ContinuousClock.now
        let interval: Duration = isTerminal ? .milliseconds(100) : .seconds(10)
        guard now - (last ?? start) >= interval || (isTerminal && last == nil) else { return }
        last = now
        if isTerminal {
            isBarOpen = true
            ConsoleLog.write("\r" + Self.bar(done, of: total, title: title))
        } else {
            say(title + ": " + Self.share(done, of: total))
        }
    }

    /// Takes the bar away.
    mutating func finish() {
        if isBarOpen { ConsoleLog.write("\r\u{1B}[K") }
        isBarOpen = false
    }

    static func bar(_ done: Int, of total: Int, width: Int = 30, title: String = "Loading weights") -> String {
        let filled = total > 0 ? min(width, done * width / total) : 0
        return title + " [" + String(repeating: "#", count: filled)
            + String(repeating: ".", count: width - filled) + "] " + share(done, of: total)
    }

    static func share(_ done: Int, of total: Int) -> String {
        let percent = total > 0 ? min(100, done * 100 / total) : 0
        return "\(percent)% (\(gibibytes(done)) of \(gibibytes(total)) GiB)"
    }

    static func gibibytes(_ bytes: Int) -> String { String(format: "%.2f", Double(bytes) / 1_073_741_824) }
}
